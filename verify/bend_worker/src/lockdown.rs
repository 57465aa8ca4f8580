//! What the process gives up before it sees the first program.

const ARENA_BYTES: u64 = 6 << 30;

/// Resource limits: no core dumps, no files, no processes, and an address space of the arena, the stack and `heap`.
pub fn limits(heap: u64, stack: u64) {
  let set = |resource, value: u64| unsafe {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    libc::setrlimit(resource, &limit);
  };
  set(libc::RLIMIT_CORE, 0);
  set(libc::RLIMIT_FSIZE, 0);
  set(libc::RLIMIT_NPROC, 0);
  set(libc::RLIMIT_AS, ARENA_BYTES + stack + heap);
}

/// Allow reading and writing open descriptors, memory, futexes, clocks and leaving; anything else fails with EPERM
/// (and does not kill: malloc looks for a file of /proc when it gives memory back, and can do without it).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub fn seccomp() {
  #[cfg(target_arch = "x86_64")]
  const ARCH: u32 = 0xC000_003E;
  #[cfg(target_arch = "aarch64")]
  const ARCH: u32 = 0xC000_00B7;
  let allowed: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
  ];
  let op = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
  let (load, equal, give) = (
    libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
    libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
    libc::BPF_RET | libc::BPF_K,
  );
  // struct seccomp_data: nr at 0, arch at 4.
  let mut filter = vec![
    op(load, 4, 0, 0),
    op(equal, ARCH, 1, 0),
    op(give, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
    op(load, 0, 0, 0),
  ];
  for (at, number) in allowed.iter().enumerate() {
    filter.push(op(equal, *number as u32, (allowed.len() - at) as u8, 0));
  }
  filter.push(op(give, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0));
  filter.push(op(give, libc::SECCOMP_RET_ALLOW, 0, 0));
  let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
  unsafe {
    let locked = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
      && libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC, &program)
        == 0;
    if !locked {
      std::process::exit(72);
    }
  }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn seccomp() {}
