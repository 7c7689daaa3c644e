// Preloaded into the sidecar: fsync of a regular file hangs while the file named by HANGS_WHILE exists, as on a network
// disk whose server is gone. Unlike a call delayed by strace, this one ends when the process is killed.

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int fd) {
  struct stat file;
  if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode))
    while (access(getenv("HANGS_WHILE"), F_OK) == 0) usleep(10000);
  return syscall(SYS_fsync, fd);
}
