// The manual page vault-token-sidecar(1) in roff, from the descriptions of the commands. Packages install it.

import packageJson from '../package.json' with { type: 'json' };
import { COMMANDS, type CommandName, GROUPS } from '../src/cli/commands.ts';
import { EXIT_MEANINGS, PROGRAM } from '../src/cli/description.ts';
import { exitRows, flagRow, synopsis } from '../src/cli/help.ts';

type Row = readonly [string, string];

/** @param date of the release, as YYYY-MM-DD */
export const manPage = (date: string): string =>
  [
    `.TH VAULT\\-TOKEN\\-SIDECAR 1 ${date} "${PROGRAM} ${packageJson.version}" "User Commands"`,
    '.SH NAME',
    `${text(PROGRAM)} \\- exchange a workload's JWT for a HashiCorp Vault token`,
    '.SH SYNOPSIS',
    `.B ${text(PROGRAM)}`,
    '.I COMMAND',
    text('[flags]'),
    '.SH DESCRIPTION',
    text(
      "Watches a workload's JWT, logs in to the JWT auth method of Vault, keeps the Vault token alive, and hands it over in a file and on a loopback HTTP endpoint. When a login fails, it explains why, and what to do.",
    ),
    '.SH COMMANDS',
    ...Object.values(GROUPS).flat().flatMap(commandPart),
    '.SH EXIT STATUS',
    ...list(Object.entries(EXIT_MEANINGS)),
    '.SH ENVIRONMENT',
    ...list(COMMANDS.run.environment ?? []),
    '.SH FILES',
    ...list([
      [`/etc/${PROGRAM}/<instance>.json`, `the config of the systemd unit ${PROGRAM}@<instance>.service`],
      [`/run/${PROGRAM}/<instance>/`, 'its token files'],
    ]),
    '.SH SEE ALSO',
    'https://github.com/oidc\\-pub/vault\\-token\\-sidecar',
    '',
  ].join('\n');

function commandPart(name: CommandName): string[] {
  const description = COMMANDS[name];
  const { about, argument, flags, examples } = description;
  const rows = Object.entries(flags).map(([flag, one]): Row => {
    const [form, meaning] = flagRow(flag, one);
    return [form.trim(), one.of === undefined ? meaning : `${one.of.join(', ')}: ${meaning}`];
  });
  const exits = name === 'run' ? [] : exitRows(description);
  return [
    `.SS ${text(name)}`,
    `.B ${text(synopsis(name, description))}`,
    ...about.split('\n\n').flatMap((paragraph) => ['.PP', text(paragraph)]),
    ...list([...Object.entries(argument?.choices ?? {}), ...rows]),
    ...examples.flatMap(({ what, command }) => ['.PP', text(`${what}:`), '.PP', '.EX', text(command), '.EE']),
    ...(exits.length === 0 ? [] : ['.PP', 'Exit codes:', ...list(exits)]),
  ];
}

const list = (rows: readonly Row[]): string[] =>
  rows.flatMap(([name, meaning]) => ['.TP', `.B ${text(name)}`, text(meaning)]);

/** Escapes a text: backslashes, hyphens that users copy, and characters that make a line a request. */
const text = (plain: string): string =>
  plain.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('"', '\\(dq').replace(/^[.']/, '\\&$&');
