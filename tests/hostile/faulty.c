/* A disk that fails on request: preloaded into the real program, it counts the calls that change files in one folder,
 * and lets some of them fail. The program is the one that is released; only the system under it is worse.
 *
 *   FAULT_DIR    the folder; calls on other files are passed on
 *   FAULT_LOG    a file that gets a line for each counted call: "write 7 echoroom.db-wal", and " FAULT" behind those that
 *                were made to fail
 *   FAULT_CALL   which calls fail: write, fsync, open, rename or truncate
 *   FAULT_FILE   only those on files whose name ends so
 *   FAULT_NTH    the first that fails, counted from 1
 *   FAULT_TIMES  how many fail in a row; 0 is all from there on
 *   FAULT_FROM   a file: before it exists, no call fails
 *   FAULT_UNTIL  a file: once it exists, no call fails any more
 *   FAULT_KIND   an errno as a number; "short" writes half and says so, "half" writes half and then fails with ENOSPC;
 *                "hang" does nothing until FAULT_UNTIL exists
 *   FAULT_DISK   a folder that gets what a power cut would leave of the files: what was flushed, and not what was written
 *                before a flush that failed, as Linux has it
 *   FAULT_CLOCK  seconds that the wall clock is ahead
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum call { WRITE, FSYNC, OPEN, RENAME, TRUNCATE, CALLS };
static const char *const NAMES[CALLS] = {"write", "fsync", "open", "rename", "truncate"};

/* One change of a file that has not been flushed; without data it is a new length. */
struct change {
  struct change *next;
  off_t at;
  size_t len;
  char *data;
};

/* A file of the folder, by its name. */
struct file {
  struct file *next;
  char name[256];
  struct change *first, **last;
};

#define MAX_FD 65536
static struct file *by_fd[MAX_FD];
static struct file *files;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counted[CALLS];

static char folder[4096];
static size_t folder_len;
static const char *fault_file, *fault_from, *fault_until, *fault_kind, *disk;
static int fault_call = -1, log_fd = -1;
static long fault_nth, fault_times;
static long clock_ahead;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_rename)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_clock_gettime)(clockid_t, struct timespec *);

static void *find(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

static long number(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text ? atol(text) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
  real_open = find("open64");
  real_close = find("close");
  real_write = find("write");
  real_pwrite = find("pwrite64");
  real_fsync = find("fsync");
  real_ftruncate = find("ftruncate64");
  real_rename = find("rename");
  real_unlink = find("unlink");
  real_clock_gettime = find("clock_gettime");
  const char *dir = getenv("FAULT_DIR");
  if (dir && realpath(dir, folder)) {
    strcat(folder, "/");
    folder_len = strlen(folder);
  }
  fault_file = getenv("FAULT_FILE");
  fault_from = getenv("FAULT_FROM");
  fault_until = getenv("FAULT_UNTIL");
  fault_kind = getenv("FAULT_KIND");
  disk = getenv("FAULT_DISK");
  fault_nth = number("FAULT_NTH", 1);
  fault_times = number("FAULT_TIMES", 1);
  clock_ahead = number("FAULT_CLOCK", 0);
  const char *call = getenv("FAULT_CALL");
  for (int i = 0; call && i < CALLS; i++)
    if (!strcmp(call, NAMES[i])) fault_call = i;
  const char *log = getenv("FAULT_LOG");
  if (log) log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

/* The name of a path's file in the folder, "." for the folder itself, or null. */
static const char *name_of(const char *path) {
  if (!folder_len || !path) return NULL;
  if (strlen(path) == folder_len - 1 && !strncmp(path, folder, folder_len - 1)) return ".";
  if (strncmp(path, folder, folder_len)) return NULL;
  return path[folder_len] && !strchr(path + folder_len, '/') ? path + folder_len : NULL;
}

static struct file *file_of(const char *name) {
  for (struct file *file = files; file; file = file->next)
    if (!strcmp(file->name, name)) return file;
  struct file *file = calloc(1, sizeof *file);
  if (!file) abort();
  snprintf(file->name, sizeof file->name, "%s", name);
  file->last = &file->first;
  file->next = files;
  return files = file;
}

/* Counts a call and says whether it is to fail. A call that hangs gives up the lock: it holds up no call on another file. */
static int fails(enum call call, const char *name) {
  long count = counted[call];
  int is_meant = call == (enum call)fault_call;
  if (is_meant && fault_file) {
    size_t len = strlen(name), end = strlen(fault_file);
    is_meant = len >= end && !strcmp(name + len - end, fault_file);
    if (is_meant) count = ++counted[call];
  } else {
    count = ++counted[call];
  }
  int fault = is_meant && count >= fault_nth && (!fault_times || count < fault_nth + fault_times) &&
              !(fault_from && access(fault_from, F_OK)) && !(fault_until && !access(fault_until, F_OK));
  if (log_fd >= 0) {
    char line[512];
    int len = snprintf(line, sizeof line, "%s %ld %s%s\n", NAMES[call], count, name, fault ? " FAULT" : "");
    if (real_write(log_fd, line, len) != len) abort();
  }
  if (fault && fault_kind && !strcmp(fault_kind, "hang")) {
    pthread_mutex_unlock(&lock);
    while (!(fault_until && !access(fault_until, F_OK))) usleep(1000);
    pthread_mutex_lock(&lock);
    return 0;
  }
  return fault;
}

static int error_of_kind(void) {
  if (!fault_kind) return EIO;
  return !strcmp(fault_kind, "half") ? ENOSPC : atoi(fault_kind);
}

static void forget_changes(struct file *file) {
  for (struct change *change = file->first, *next; change; change = next) {
    next = change->next;
    free(change->data);
    free(change);
  }
  file->first = NULL;
  file->last = &file->first;
}

static void note(struct file *file, off_t at, const void *data, size_t len) {
  if (!disk) return;
  struct change *change = calloc(1, sizeof *change);
  if (!change) abort();
  change->at = at;
  change->len = len;
  if (data) {
    change->data = malloc(len ? len : 1);
    if (!change->data) abort();
    memcpy(change->data, data, len);
  }
  *file->last = change;
  file->last = &change->next;
}

static void path_on_disk(char *path, size_t size, const char *name) { snprintf(path, size, "%s/%s", disk, name); }

/* What was written to a file has reached the disk. SQLite's index of its log never does: it is made anew. Names are taken
 * to be there with their files. */
static void flush(struct file *file) {
  size_t len = strlen(file->name);
  if (disk && strcmp(file->name, ".") && !(len > 4 && !strcmp(file->name + len - 4, "-shm"))) {
    char path[4096];
    path_on_disk(path, sizeof path, file->name);
    int fd = real_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) abort();
    for (struct change *change = file->first; change; change = change->next) {
      if (change->data ? real_pwrite(fd, change->data, change->len, change->at) != (ssize_t)change->len
                       : real_ftruncate(fd, change->at) != 0)
        abort();
    }
    real_close(fd);
  }
  forget_changes(file);
}

static struct file *file_of_fd(int fd) { return fd >= 0 && fd < MAX_FD ? by_fd[fd] : NULL; }

static int open_file(const char *path, int flags, mode_t mode) {
  char whole[4096];
  const char *name = path && realpath(path, whole) ? name_of(whole) : name_of(path);
  if (!name) return real_open(path, flags, mode);
  pthread_mutex_lock(&lock);
  int fd = -1;
  if (fails(OPEN, name)) {
    errno = error_of_kind();
  } else if ((fd = real_open(path, flags, mode)) >= 0 && fd < MAX_FD) {
    by_fd[fd] = file_of(name);
    if (flags & O_TRUNC) note(by_fd[fd], 0, NULL, 0);
  }
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

#define OPEN_WITH_MODE(flags, mode)                       \
  mode_t mode = 0;                                        \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                  \
    va_list list;                                         \
    va_start(list, flags);                                \
    mode = va_arg(list, mode_t);                          \
    va_end(list);                                         \
  }

int open(const char *path, int flags, ...) {
  OPEN_WITH_MODE(flags, mode)
  return open_file(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  OPEN_WITH_MODE(flags, mode)
  return open_file(path, flags | O_LARGEFILE, mode);
}

int close(int fd) {
  if (file_of_fd(fd)) {
    pthread_mutex_lock(&lock);
    by_fd[fd] = NULL;
    pthread_mutex_unlock(&lock);
  }
  return real_close(fd);
}

static ssize_t write_at(int fd, const void *data, size_t len, off_t at, int moves) {
  struct file *file = file_of_fd(fd);
  if (!file) return moves ? real_write(fd, data, len) : real_pwrite(fd, data, len, at);
  pthread_mutex_lock(&lock);
  if (moves) at = lseek(fd, 0, SEEK_CUR);
  int is_partial = 0, fault = fails(WRITE, file->name);
  if (fault && fault_kind && (!strcmp(fault_kind, "short") || !strcmp(fault_kind, "half"))) {
    is_partial = 1;
    len = len > 1 ? len / 2 : len;
  }
  ssize_t written = -1;
  if (!fault || is_partial) {
    written = moves ? real_write(fd, data, len) : real_pwrite(fd, data, len, at);
    if (written > 0) note(file, at, data, written);
  }
  int error = errno;
  if (fault && !(is_partial && !strcmp(fault_kind, "short"))) {
    error = error_of_kind();
    written = -1;
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return written;
}

ssize_t write(int fd, const void *data, size_t len) { return write_at(fd, data, len, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return write_at(fd, data, len, at, 0); }
ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) { return write_at(fd, data, len, at, 0); }

static int sync_file(int fd) {
  struct file *file = file_of_fd(fd);
  if (!file) return real_fsync(fd);
  pthread_mutex_lock(&lock);
  int outcome = 0, error = 0;
  if (fails(FSYNC, file->name)) {
    /* The kernel takes the pages for written from here on, though they never will be. */
    forget_changes(file);
    outcome = -1;
    error = error_of_kind();
  } else if (!disk && (outcome = real_fsync(fd)) != 0) {
    error = errno;
  } else {
    flush(file);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return outcome;
}

int fsync(int fd) { return sync_file(fd); }
int fdatasync(int fd) { return sync_file(fd); }

static int truncate_file(int fd, off_t len) {
  struct file *file = file_of_fd(fd);
  if (!file) return real_ftruncate(fd, len);
  pthread_mutex_lock(&lock);
  int outcome = -1, error = 0;
  if (fails(TRUNCATE, file->name)) {
    error = error_of_kind();
  } else if ((outcome = real_ftruncate(fd, len)) == 0) {
    note(file, len, NULL, 0);
  } else {
    error = errno;
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return outcome;
}

int ftruncate(int fd, off_t len) { return truncate_file(fd, len); }
int ftruncate64(int fd, off_t len) { return truncate_file(fd, len); }

int rename(const char *from, const char *to) {
  const char *old = name_of(from), *new = name_of(to);
  if (!old || !new) return real_rename(from, to);
  pthread_mutex_lock(&lock);
  int outcome = -1, error = 0;
  if (fails(RENAME, new)) {
    error = error_of_kind();
  } else if ((outcome = real_rename(from, to)) == 0) {
    struct file *source = file_of(old), *target = file_of(new);
    forget_changes(target);
    for (struct change *change = source->first; change; change = change->next)
      note(target, change->at, change->data, change->len);
    forget_changes(source);
    if (disk) {
      char path[2][4096];
      path_on_disk(path[0], sizeof path[0], old);
      path_on_disk(path[1], sizeof path[1], new);
      real_rename(path[0], path[1]);
    }
  } else {
    error = errno;
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return outcome;
}

int unlink(const char *path) {
  const char *name = name_of(path);
  int outcome = real_unlink(path);
  if (name && outcome == 0) {
    pthread_mutex_lock(&lock);
    forget_changes(file_of(name));
    if (disk) {
      char gone[4096];
      path_on_disk(gone, sizeof gone, name);
      real_unlink(gone);
    }
    pthread_mutex_unlock(&lock);
    errno = 0;
  }
  return outcome;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int outcome = real_clock_gettime(clock, time);
  if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += clock_ahead;
  return outcome;
}
