//! Reduction with fuel: the same program takes the same number of interactions on every machine.

use hvm::hvm::{Book, GNet, Port, TMem, DUP, NONE, REF, ROOT};
use hvm::hvm::Pair;

/// Why reduction stopped before the normal form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
  Fuel,
  Memory,
  /// hvm would print an error and exit(0) here: a function that duplicates its argument was itself duplicated.
  Clone,
  /// A redex that can never fire; ill-typed code of unchecked definitions can produce one.
  Stuck,
}

pub struct Machine<'a> {
  pub net: &'a GNet<'a>,
  pub book: &'a Book,
  tm: TMem,
  fuel: u64,
  memory: usize,
  interactions: u64,
}

impl<'a> Machine<'a> {
  pub fn new(net: &'a GNet<'a>, book: &'a Book, fuel: u64, memory: usize) -> Self {
    Machine { net, book, tm: TMem::new(0, 1), fuel, memory, interactions: 0 }
  }

  pub fn interactions(&self) -> u64 {
    self.interactions + self.tm.itrs as u64
  }

  /// Nodes and variables allocated so far; hvm never reuses one before its buffers are full.
  pub fn allocated(&self) -> (usize, usize) {
    (self.tm.nput, self.tm.vput)
  }

  /// Reduce the definition `fid` and return what it becomes.
  pub fn expand(&mut self, fid: u32) -> Result<Port, Stop> {
    self.net.vars_create(ROOT.get_val() as usize, NONE);
    self.tm.rbag.push_redex(Pair::new(Port::new(REF, fid), ROOT));
    self.reduce()?;
    Ok(self.net.enter(ROOT))
  }

  fn reduce(&mut self) -> Result<(), Stop> {
    let mut failures = 0u32;
    while let Some(redex) = self.tm.rbag.hi.last().or(self.tm.rbag.lo.last()) {
      if self.clones_unsafe(redex.get_fst(), redex.get_snd()) {
        return Err(Stop::Clone);
      }
      if self.tm.interact(self.net, self.book) {
        failures = 0;
      } else {
        failures += 1;
        if failures > 1000 {
          return Err(Stop::Stuck);
        }
      }
      if self.interactions() > self.fuel {
        return Err(Stop::Fuel);
      }
      if self.tm.nput * 8 + self.tm.vput * 4 + self.tm.rbag.len() * 8 > self.memory {
        return Err(Stop::Memory);
      }
    }
    self.interactions += self.tm.itrs as u64;
    self.tm.itrs = 0;
    Ok(())
  }

  fn clones_unsafe(&self, a: Port, b: Port) -> bool {
    let (reference, other) = if a.get_tag() == REF { (a, b) } else { (b, a) };
    reference.get_tag() == REF
      && other.get_tag() == DUP
      && !self.book.defs[(reference.get_val() & 0x0FFF_FFFF) as usize].safe
  }
}
