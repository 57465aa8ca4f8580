//! The node and variable buffers of HVM, reserved once and handed out zeroed for each evaluation.
//!
//! hvm's own `GNet::new` allocates 6 GiB through malloc, which a machine that does not overcommit refuses (and hvm
//! does not check). Here the pages are reserved without swap space and given back after each evaluation.

use hvm::hvm::{APair, APort, GNet};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;

/// Both lengths must be equal: hvm 2.0.22 takes variable indices modulo the length of the *node* buffer, and the
/// root is the last variable of 2^29.
const LENGTH: usize = 1 << 29;
const PAGE: usize = 4096;

pub struct Arena {
  node: *mut APair,
  vars: *mut APort,
}

/// A net over the arena. Dropping it must not free the buffers, as `GNet`'s own drop would.
pub struct Net<'a> {
  net: ManuallyDrop<GNet<'a>>,
}

impl<'a> Deref for Net<'a> {
  type Target = GNet<'a>;

  fn deref(&self) -> &GNet<'a> {
    &self.net
  }
}

impl Arena {
  pub fn reserve() -> Self {
    Arena {
      node: map(LENGTH * std::mem::size_of::<APair>()) as *mut APair,
      vars: map(LENGTH * std::mem::size_of::<APort>()) as *mut APort,
    }
  }

  /// A fresh, zeroed net. The arena is borrowed for one evaluation at a time by a single thread.
  pub fn net(&self) -> Net<'_> {
    let node = unsafe { std::slice::from_raw_parts_mut(self.node, LENGTH) };
    let vars = unsafe { std::slice::from_raw_parts_mut(self.vars, LENGTH) };
    Net { net: ManuallyDrop::new(GNet { nlen: LENGTH, vlen: LENGTH, node, vars, itrs: AtomicU64::new(0) }) }
  }

  /// Give back the pages of an evaluation that allocated up to `nodes` nodes and `vars` variables.
  pub fn release(&self, nodes: usize, vars: usize) {
    zero(self.node as *mut u8, (nodes + 1) * std::mem::size_of::<APair>());
    zero(self.vars as *mut u8, (vars + 1) * std::mem::size_of::<APort>());
    let root = (LENGTH - 1) * std::mem::size_of::<APort>();
    zero(unsafe { (self.vars as *mut u8).add(root / PAGE * PAGE) }, PAGE);
  }
}

fn map(bytes: usize) -> *mut libc::c_void {
  let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
  let address =
    unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
  if address == libc::MAP_FAILED {
    std::process::exit(71);
  }
  address
}

/// Small ranges are cleared in place, which is faster than faulting their pages in again.
fn zero(start: *mut u8, bytes: usize) {
  let bytes = (bytes + PAGE - 1) / PAGE * PAGE;
  unsafe {
    if bytes <= 256 * PAGE {
      std::ptr::write_bytes(start, 0, bytes);
    } else {
      libc::madvise(start as *mut libc::c_void, bytes, libc::MADV_DONTNEED);
    }
  }
}
