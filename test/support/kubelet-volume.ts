// A projected volume as kubelet maintains it: files are links into ..data, and ..data is a link that is swapped
// atomically. https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go

import { mkdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ProjectedVolume {
  swap(file: string, content: string): Promise<void>;
}

export async function createProjectedVolume(directory: string): Promise<ProjectedVolume> {
  let serial = 0;
  await mkdir(directory, { recursive: true });
  return {
    async swap(file, content) {
      serial += 1;
      const fresh = `..2026_11_24_10_00_00.${serial}`;
      const old = await readlink(join(directory, '..data')).catch(() => undefined);
      await mkdir(join(directory, fresh));
      await writeFile(join(directory, fresh, file), content);
      await symlink(fresh, join(directory, '..data_tmp'));
      await rename(join(directory, '..data_tmp'), join(directory, '..data'));
      if (old === undefined) await symlink(join('..data', file), join(directory, file));
      else await rm(join(directory, old), { recursive: true });
    },
  };
}
