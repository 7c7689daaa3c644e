// A YAML parser. Version 1.1, which GitLab and Kubernetes read: in it, 1e3 is a number and yes a boolean.

import { parse } from 'yaml';

export const parseYaml = (text: string): unknown => parse(text, { version: '1.1' });
