/*
 * Sees every system call with which a process touches files under one directory: records them, or makes them fail.
 *
 * LD_PRELOAD alone would not do: LevelDB writes through stdio, whose write(2) happens inside libc where no preloaded function
 * stands in the way. So the calls are trapped by the kernel (seccomp, SECCOMP_RET_TRAP) and done by the handler of SIGSYS, in
 * the thread that called, one after the other for files under the directory: the order in the journal is the order in which they
 * happened. io_uring, copy_file_range and sendfile, which would go round it, do not exist for the process: libuv does without.
 *
 * The process steers it by opening paths that are not there (see shim.ts); the answer is ENOENT.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

/* The one place whose calls are not trapped: fault_syscall(number, six arguments). */
long fault_syscall(long number, long a, long b, long c, long d, long e, long f);
extern char fault_syscall_end[];

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
__asm__(".text\n.globl fault_syscall\n.hidden fault_syscall_end\nfault_syscall:\n"
        "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\nmov %r9,%r8\nmov 8(%rsp),%r9\n"
        "syscall\n.globl fault_syscall_end\nfault_syscall_end:\nret\n");
#define ARGUMENT(context, n) ((context)->uc_mcontext.gregs[(const int[]){REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9}[n]])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
__asm__(".text\n.globl fault_syscall\n.hidden fault_syscall_end\nfault_syscall:\n"
        "mov x8,x0\nmov x0,x1\nmov x1,x2\nmov x2,x3\nmov x3,x4\nmov x4,x5\nmov x5,x6\n"
        "svc #0\n.globl fault_syscall_end\nfault_syscall_end:\nret\n");
#define ARGUMENT(context, n) ((context)->uc_mcontext.regs[n])
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#else
#error "only x86-64 and arm64"
#endif

/* ---- What is trapped, by the name that a fault is asked for ---------------------------------------------------------------- */

enum name { OPEN, READ, PREAD, WRITE, PWRITE, FSYNC, FDATASYNC, FTRUNCATE, CLOSE, RENAME, LINK, UNLINK, MKDIR, RMDIR, STAT, MMAP, READDIR, LOCK, OTHER, NAMES };
static const char *const NAME[NAMES] = {"open", "read", "pread", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "close", "rename", "link",
                                        "unlink", "mkdir", "rmdir", "stat", "mmap", "readdir", "lock", "other"};

static const struct trapped { int number; enum name name; } TRAPPED[] = {
#ifdef __NR_open
    {__NR_open, OPEN}, {__NR_creat, OPEN}, {__NR_rename, RENAME}, {__NR_link, LINK}, {__NR_unlink, UNLINK}, {__NR_mkdir, MKDIR},
    {__NR_rmdir, RMDIR}, {__NR_stat, STAT}, {__NR_lstat, STAT}, {__NR_access, STAT}, {__NR_getdents, READDIR}, {__NR_symlink, OTHER},
#endif
    {__NR_openat, OPEN}, {__NR_read, READ}, {__NR_readv, READ}, {__NR_pread64, PREAD}, {__NR_preadv, PREAD}, {__NR_write, WRITE},
    {__NR_writev, WRITE}, {__NR_pwrite64, PWRITE}, {__NR_pwritev, PWRITE}, {__NR_fsync, FSYNC}, {__NR_fdatasync, FDATASYNC},
    {__NR_ftruncate, FTRUNCATE}, {__NR_close, CLOSE}, {__NR_renameat, RENAME}, {__NR_renameat2, RENAME}, {__NR_linkat, LINK},
    {__NR_unlinkat, UNLINK}, {__NR_mkdirat, MKDIR}, {__NR_fstat, STAT}, {__NR_newfstatat, STAT}, {__NR_statx, STAT},
    {__NR_faccessat, STAT}, {__NR_mmap, MMAP}, {__NR_getdents64, READDIR}, {__NR_fcntl, LOCK},
    /* Nothing of ours does these; whoever begins to must be noticed. */
    {__NR_truncate, OTHER}, {__NR_fallocate, OTHER}, {__NR_symlinkat, OTHER}, {__NR_dup, OTHER}, {__NR_dup3, OTHER},
    {__NR_openat2, OTHER}, {__NR_pwritev2, OTHER}, {__NR_preadv2, OTHER}, {__NR_splice, OTHER},
};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- State, guarded by the lock --------------------------------------------------------------------------------------------- */

#define DESCRIPTORS 65536
static char root[4096];
static size_t root_length;
/* Inode number of what a descriptor under the root stands for; 0 for all others. */
static volatile uint64_t inode_of[DESCRIPTORS];
static int journal = -1;
static uint64_t calls[NAMES], injected;
static struct { int armed, name, error, is_short, sticky; uint64_t nth; } fault;

static volatile int lock_word;
static void lock(void) {
  while (__atomic_exchange_n(&lock_word, 1, __ATOMIC_ACQUIRE)) fault_syscall(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
}
static void unlock(void) { __atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE); }

/* ---- The journal -------------------------------------------------------------------------------------------------------------- */

/* See journal.ts for what `a` and `b` are of each kind. */
struct entry { char kind[8]; uint64_t inode, a, b; uint32_t first_length, second_length; };

static void put(const char *kind, uint64_t inode, uint64_t a, uint64_t b, const void *first, size_t first_length, const void *second, size_t second_length) {
  if (journal < 0) return;
  struct entry entry = {{0}, inode, a, b, (uint32_t)first_length, (uint32_t)second_length};
  for (int i = 0; kind[i] && i < 8; i++) entry.kind[i] = kind[i];
  struct iovec pieces[3] = {{&entry, sizeof entry}, {(void *)first, first_length}, {(void *)second, second_length}};
  size_t whole = sizeof entry + first_length + second_length;
  if (fault_syscall(__NR_writev, journal, (long)pieces, 3, 0, 0, 0) != (long)whole) abort();
}

static void put_paths(const char *kind, uint64_t inode, uint64_t a, uint64_t b, const char *first, const char *second) {
  put(kind, inode, a, b, first, strlen(first), second, second ? strlen(second) : 0);
}

/* ---- Paths ---------------------------------------------------------------------------------------------------------------------- */

static int is_tracked(long descriptor) { return descriptor >= 0 && descriptor < DESCRIPTORS && inode_of[descriptor] != 0; }

static int is_under_root(const char *path) {
  return root_length > 0 && strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

/* The absolute path of (directory, path), if it is under the root. */
static const char *resolve(long directory, const char *path, char *buffer, size_t size) {
  if (path == NULL || root_length == 0) return NULL;
  if (path[0] == '/') return is_under_root(path) ? path : NULL;
  if (directory == AT_FDCWD || !is_tracked(directory) || path[0] == 0) return NULL;
  char link[64];
  /* snprintf of integers alone takes no lock and no memory. */
  snprintf(link, sizeof link, "/proc/self/fd/%ld", directory);
  long length = fault_syscall(__NR_readlinkat, AT_FDCWD, (long)link, (long)buffer, (long)size - 1, 0, 0);
  if (length < 0 || (size_t)length + 1 + strlen(path) >= size) return NULL;
  buffer[length] = '/';
  strcpy(buffer + length + 1, path);
  return is_under_root(buffer) ? buffer : NULL;
}

static int status(const char *path, struct stat *found) {
  return fault_syscall(__NR_newfstatat, AT_FDCWD, (long)path, (long)found, AT_SYMLINK_NOFOLLOW, 0, 0) == 0;
}

/* ---- Commands ------------------------------------------------------------------------------------------------------------------- */

static const char PREFIX[] = "/@faults/";

static void close_journal(void) {
  if (journal >= 0) fault_syscall(__NR_close, journal, 0, 0, 0, 0, 0);
  journal = -1;
}

static long create(const char *path) {
  return fault_syscall(__NR_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600, 0, 0);
}

static long command(const char *text) {
  if (strncmp(text, "root/", 5) == 0) {
    strncpy(root, text + 5, sizeof root - 1);
    root_length = strlen(root);
  } else if (strncmp(text, "record/", 7) == 0) {
    close_journal();
    long file = create(text + 7);
    if (file < 0) return file;
    /* Out of the way of whoever closes descriptors by their numbers. */
    journal = (int)fault_syscall(__NR_fcntl, file, F_DUPFD_CLOEXEC, 1000, 0, 0, 0);
    fault_syscall(__NR_close, file, 0, 0, 0, 0, 0);
  } else if (strncmp(text, "mark/", 5) == 0) {
    put("mark", 0, 0, 0, text + 5, strlen(text + 5), NULL, 0);
  } else if (strncmp(text, "inject/", 7) == 0) {
    char name[16];
    int error, is_short, sticky;
    unsigned long nth;
    if (sscanf(text + 7, "%15[a-z]/%lu/%d/%d/%d", name, &nth, &error, &is_short, &sticky) != 5) return -EINVAL;
    memset(calls, 0, sizeof calls);
    injected = 0;
    for (int i = 0; i < NAMES; i++)
      if (strcmp(NAME[i], name) == 0) {
        fault.name = i, fault.nth = nth, fault.error = error, fault.is_short = is_short, fault.sticky = sticky, fault.armed = 1;
        return -ENOENT;
      }
    return -EINVAL;
  } else if (strcmp(text, "count") == 0) {
    fault.armed = 0;
    memset(calls, 0, sizeof calls);
    injected = 0;
  } else if (strcmp(text, "stop") == 0) {
    fault.armed = 0;
    close_journal();
  } else if (strncmp(text, "report/", 7) == 0) {
    long file = create(text + 7);
    if (file < 0) return file;
    char line[64];
    for (int i = 0; i <= NAMES; i++) {
      int length = snprintf(line, sizeof line, "%s %lu\n", i == NAMES ? "injected" : NAME[i], (unsigned long)(i == NAMES ? injected : calls[i]));
      fault_syscall(__NR_write, file, (long)line, length, 0, 0, 0);
    }
    fault_syscall(__NR_close, file, 0, 0, 0, 0, 0);
  } else
    return -EINVAL;
  return -ENOENT;
}

/* ---- One call -------------------------------------------------------------------------------------------------------------------- */

static int is_at(long number) {
  return number == __NR_openat || number == __NR_renameat || number == __NR_renameat2 || number == __NR_linkat || number == __NR_unlinkat ||
         number == __NR_mkdirat || number == __NR_newfstatat || number == __NR_statx || number == __NR_faccessat || number == __NR_openat2;
}

static enum name name_of(long number) {
  for (size_t i = 0; i < COUNT(TRAPPED); i++)
    if (TRAPPED[i].number == number) return TRAPPED[i].name;
  return OTHER;
}

/* What the fault makes of this call: 0 nothing, a negative errno, or 1 for a short one. */
static int faulty(enum name name) {
  uint64_t count = ++calls[name];
  if (!fault.armed || (int)name != fault.name || count < fault.nth || (count > fault.nth && !fault.sticky)) return 0;
  /* Whoever is interrupted calls again, or begins again, and is to come through. */
  if (fault.error == EINTR && (count - fault.nth) % 5 != 0) return 0;
  injected++;
  return fault.is_short ? 1 : -fault.error;
}

static void put_write(long descriptor, const void *bytes, long length, long offset) {
  put("write", inode_of[descriptor], (uint64_t)offset, 0, bytes, (size_t)length, NULL, 0);
}

/* Bytes of a vector up to `length`, one entry each. */
static void put_vector(long descriptor, const struct iovec *pieces, long count, long length, long offset) {
  for (long i = 0; i < count && length > 0; i++) {
    long size = (long)pieces[i].iov_len < length ? (long)pieces[i].iov_len : length;
    if (size > 0) put_write(descriptor, pieces[i].iov_base, size, offset);
    offset += size;
    length -= size;
  }
}

static long on_descriptor(long number, enum name name, long a, long b, long c, long d, long e, long f) {
  int outcome = faulty(name);
  /* Linux closes the descriptor whatever it answers. */
  if (name == CLOSE) {
    inode_of[a] = 0;
    long result = fault_syscall(number, a, b, c, d, e, f);
    return outcome < 0 ? outcome : result;
  }
  if (outcome < 0) return outcome;
  int is_vector = number == __NR_readv || number == __NR_writev || number == __NR_preadv || number == __NR_pwritev;
  struct iovec half;
  if (outcome == 1 && is_vector) {
    const struct iovec *first = (const struct iovec *)b;
    half.iov_base = first->iov_base, half.iov_len = first->iov_len > 1 ? first->iov_len / 2 : first->iov_len;
    b = (long)&half, c = 1;
  } else if (outcome == 1 && c > 1)
    c /= 2;
  long result = fault_syscall(number, a, b, c, d, e, f);
  if (result < 0 || journal < 0) return result;
  if (name == WRITE && result > 0) {
    long offset = fault_syscall(__NR_lseek, a, 0, SEEK_CUR, 0, 0, 0) - result;
    if (is_vector) put_vector(a, (const struct iovec *)b, c, result, offset);
    else put_write(a, (const void *)b, result, offset);
  } else if (name == PWRITE && result > 0) {
    if (is_vector) put_vector(a, (const struct iovec *)b, c, result, d);
    else put_write(a, (const void *)b, result, d);
  } else if (name == FTRUNCATE)
    put("truncate", inode_of[a], (uint64_t)b, 0, NULL, 0, NULL, 0);
  else if (name == FSYNC || name == FDATASYNC)
    put("sync", inode_of[a], 0, 0, NULL, 0, NULL, 0);
  return result;
}

static long do_open(long number, long a, long b, long c, long d, const char *path) {
  long flags = number == __NR_openat ? c : b;
#ifdef __NR_creat
  if (number == __NR_creat) flags = O_WRONLY | O_CREAT | O_TRUNC;
#endif
  struct stat found;
  int existed = (flags & O_CREAT) && status(path, &found);
  long result = fault_syscall(number, a, b, c, d, 0, 0);
  if (result < 0) return result;
  if (result >= DESCRIPTORS || fault_syscall(__NR_fstat, result, (long)&found, 0, 0, 0, 0) != 0) abort();
  inode_of[result] = found.st_ino;
  put_paths("open", found.st_ino, (uint64_t)((flags & O_CREAT) && !existed), (uint64_t)((flags & O_TRUNC) && existed), path, NULL);
  return result;
}

static long on_path(long number, enum name name, long a, long b, long c, long d, long e, const char *path, const char *other) {
  int outcome = faulty(name);
  if (outcome < 0) return outcome;
  if (name == OPEN) return do_open(number, a, b, c, d, path);
  long result = fault_syscall(number, a, b, c, d, e, 0);
  if (result < 0) return result;
  if (name == RENAME) put_paths("rename", 0, 0, 0, path, other ? other : "");
  else if (name == LINK) put_paths("link", 0, 0, 0, path, other ? other : "");
  else if (name == MKDIR) put_paths("mkdir", 0, 0, 0, path, NULL);
  else if (name == RMDIR || (name == UNLINK && number == __NR_unlinkat && (c & AT_REMOVEDIR))) put_paths("rmdir", 0, 0, 0, path, NULL);
  else if (name == UNLINK) put_paths("unlink", 0, 0, 0, path, NULL);
  else if (name == OTHER) put_paths("other", 0, (uint64_t)number, 0, path, NULL);
  return result;
}

static long handle(long number, long a, long b, long c, long d, long e, long f) {
  enum name name = name_of(number);
  switch (name) {
    case READ: case PREAD: case WRITE: case PWRITE: case FSYNC: case FDATASYNC: case FTRUNCATE: case CLOSE: case READDIR: case MMAP: case LOCK: {
      long descriptor = name == MMAP ? (int)e : a;
      if (!is_tracked(descriptor)) break;
      /* To let a lock go cannot fail. */
      if (name == LOCK && ((b != F_SETLK && b != F_SETLKW) || ((struct flock *)c)->l_type == F_UNLCK)) {
        if (b == F_DUPFD || b == F_DUPFD_CLOEXEC) put_paths("other", 0, (uint64_t)number, 0, "F_DUPFD", NULL);
        break;
      }
      lock();
      if (name == MMAP && (d & 3) == MAP_SHARED && (c & PROT_WRITE)) put_paths("other", 0, (uint64_t)number, 0, "shared writable mapping", NULL);
      long result = on_descriptor(number, name, a, b, c, d, e, f);
      unlock();
      return result;
    }
    default: {
      char one[4096], two[4096];
      int by_descriptor = number == __NR_fstat || number == __NR_fallocate || number == __NR_dup || number == __NR_dup3 ||
                          number == __NR_pwritev2 || number == __NR_preadv2 || number == __NR_splice;
      const char *given = by_descriptor ? NULL : (const char *)(is_at(number) ? b : a);
      if (by_descriptor || (name == STAT && is_at(number) && given != NULL && given[0] == 0)) {
        if (!is_tracked(a)) break;
        lock();
        if (name == OTHER) put_paths("other", 0, (uint64_t)number, 0, "", NULL);
        int outcome = faulty(name);
        long result = outcome < 0 ? outcome : fault_syscall(number, a, b, c, d, e, f);
        unlock();
        return result;
      }
      if (given == NULL) break;
      if (name == OPEN && strncmp(given, PREFIX, sizeof PREFIX - 1) == 0) {
        lock();
        long result = command(given + sizeof PREFIX - 1);
        unlock();
        return result;
      }
      const char *path = resolve(is_at(number) ? a : AT_FDCWD, given, one, sizeof one);
      /* What a symbolic link refers to is not touched; where it stands matters. */
      if (number == __NR_symlinkat) path = resolve(b, (const char *)c, one, sizeof one);
#ifdef __NR_symlink
      if (number == __NR_symlink) path = resolve(AT_FDCWD, (const char *)b, one, sizeof one);
#endif
      int has_two = name == RENAME || name == LINK;
      const char *other = has_two ? resolve(is_at(number) ? c : AT_FDCWD, (const char *)(is_at(number) ? d : b), two, sizeof two) : NULL;
      if (path == NULL && other == NULL) break;
      lock();
      long result = on_path(number, name, a, b, c, d, e, path ? path : "", other);
      unlock();
      return result;
    }
  }
  return fault_syscall(number, a, b, c, d, e, f);
}

static void on_trap(int signal, siginfo_t *info, void *raw_context) {
  (void)signal;
  ucontext_t *context = raw_context;
  long arguments[6];
  for (int i = 0; i < 6; i++) arguments[i] = (long)ARGUMENT(context, i);
  RESULT(context) = handle(info->si_syscall, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

/* ---- Node resets all signals at its start, and libuv blocks them all now and then: not ours. ----------------------------------- */

int sigaction(int signal, const struct sigaction *action, struct sigaction *old) {
  static int (*real)(int, const struct sigaction *, struct sigaction *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "sigaction");
  if (signal == SIGSYS || action == NULL) return real(signal, NULL, old);
  /* Nor may a handler that does calls of its own block it: libuv's does, of a signal such as SIGCHLD. */
  struct sigaction without = *action;
  sigdelset(&without.sa_mask, SIGSYS);
  return real(signal, &without, old);
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
  static int (*real)(int, const sigset_t *, sigset_t *);
  if (real == NULL) real = dlsym(RTLD_NEXT, "pthread_sigmask");
  sigset_t without;
  if (set != NULL) {
    without = *set;
    sigdelset(&without, SIGSYS);
  }
  return real(how, set == NULL ? NULL : &without, old);
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old) {
  int error = pthread_sigmask(how, set, old);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

/* ---- The filter -------------------------------------------------------------------------------------------------------------------- */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + 4)
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)
/* Goes on behind the next instruction unless equal. */
#define IF_EQUAL(value) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1)

static void refuse(const char *what) {
  fprintf(stderr, "the fault shim cannot be used here: %s: %s\n", what, strerror(errno));
  _exit(125);
}

__attribute__((constructor)) static void install(void) {
  /* Only of the process itself: what it starts would have to load it as well. */
  unsetenv("LD_PRELOAD");
  int (*real)(int, const struct sigaction *, struct sigaction *) = dlsym(RTLD_NEXT, "sigaction");
  struct sigaction action = {0};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigfillset(&action.sa_mask);
  if (real(SIGSYS, &action, NULL) != 0) refuse("sigaction");

  struct sock_filter filter[32 + 2 * COUNT(TRAPPED)];
  unsigned short n = 0;
#define ADD(...) filter[n++] = (struct sock_filter)__VA_ARGS__
  uint64_t end = (uint64_t)(uintptr_t)fault_syscall_end;
  ADD(LOAD(arch));
  ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
  ADD(ANSWER(SECCOMP_RET_ALLOW));
  ADD(LOAD(instruction_pointer));
  ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)end, 0, 3));
  ADD(LOAD_HIGH(instruction_pointer));
  ADD(IF_EQUAL((uint32_t)(end >> 32)));
  ADD(ANSWER(SECCOMP_RET_ALLOW));
  ADD(LOAD(nr));
  ADD(IF_EQUAL(__NR_io_uring_setup));
  ADD(ANSWER(SECCOMP_RET_ERRNO | ENOSYS));
  ADD(IF_EQUAL(__NR_copy_file_range));
  ADD(ANSWER(SECCOMP_RET_ERRNO | ENOSYS));
  ADD(IF_EQUAL(__NR_sendfile));
  ADD(ANSWER(SECCOMP_RET_ERRNO | EINVAL));
  for (size_t i = 0; i < COUNT(TRAPPED); i++) {
    if (TRAPPED[i].number == __NR_mmap) continue;
    ADD(IF_EQUAL((uint32_t)TRAPPED[i].number));
    ADD(ANSWER(SECCOMP_RET_TRAP));
  }
  /* Memory without a file is none of our business, and is asked for where no signal may come. */
  ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 3));
  ADD(LOAD(args[4]));
  ADD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 1, 0));
  ADD(ANSWER(SECCOMP_RET_TRAP));
  ADD(ANSWER(SECCOMP_RET_ALLOW));
  struct sock_fprog program = {n, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) refuse("no_new_privs");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) refuse("seccomp");
}
