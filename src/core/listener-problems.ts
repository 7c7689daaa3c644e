// Why a listener can't be opened, with the remedy.

const problem = (words: string, hint: string) => ({ words, hint });

// biome-ignore format: one row per line
export const LISTENER_PROBLEMS = {
  taken: problem('another process listens on it', 'Stop that process, or change the address in "listen".'),
  // of addresses
  'not-here': problem('this machine has no such address', 'Set "listen" to an address of this machine.'),
  privileged: problem('the port needs privileges', 'Use a port from 1024 up in "listen".'),
  // of unix sockets
  'not-a-socket': problem('the file there is not a socket', 'Remove it, or change the path in "listen".'),
  'no-directory': problem('its directory is missing', 'Create it: with RuntimeDirectory= in a systemd unit, as an emptyDir volume in Kubernetes, as a tmpfs volume in Compose.'),
  denied: problem("the sidecar's user may not create it", "Give the sidecar's user write access to its directory."),
  group: problem("the sidecar's user may not set its group", "Remove socket_gid, or add the sidecar's user to that group."),
  'not-created': problem("it can't be created", 'Use a path on a local file system in "listen", such as a tmpfs.'),
} as const;

export type ListenerProblem = keyof typeof LISTENER_PROBLEMS;

/** The problems of an address, by the system's error code. */
export const ADDRESS_PROBLEMS: Readonly<Record<string, ListenerProblem>> = {
  EADDRINUSE: 'taken',
  EADDRNOTAVAIL: 'not-here',
  EACCES: 'privileged',
  EPERM: 'privileged',
};
