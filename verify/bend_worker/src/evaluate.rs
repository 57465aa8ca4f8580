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

/// Processors for which the time of a computation is estimated.
pub const PROCESSORS: [u64; 6] = [1, 2, 4, 16, 256, 16_384];

/// How wide a computation is: rounds, the widest of them, and the time on some numbers of processors when each takes
/// one interaction a step and communication is free.
#[derive(Default)]
pub struct Profile {
  pub rounds: u64,
  pub widest: u64,
  pub steps: [u64; PROCESSORS.len()],
}

impl Profile {
  fn add(&mut self, width: u64) {
    // A round of nothing but links, which are no interactions, takes no time.
    if width > 0 {
      self.rounds += 1;
      self.widest = self.widest.max(width);
      for (steps, processors) in self.steps.iter_mut().zip(PROCESSORS) {
        *steps += (width + processors - 1) / processors;
      }
    }
  }
}

impl std::fmt::Display for Profile {
  fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    write!(f, "rounds {}\nwidest {}", self.rounds, self.widest)?;
    for (steps, processors) in self.steps.iter().zip(PROCESSORS) {
      write!(f, "\nsteps {processors} {steps}")?;
    }
    Ok(())
  }
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

  /// Reduce `main` in rounds: all redexes there are now, then all that these made. With a processor for every redex a
  /// round would take the time of one interaction, so their number is the depth of the computation.
  pub fn profile(&mut self) -> Result<Profile, Stop> {
    let mut profile = Profile::default();
    self.net.vars_create(ROOT.get_val() as usize, NONE);
    let mut round = vec![Pair::new(Port::new(REF, 0), ROOT)];
    while !round.is_empty() {
      let mut next: Vec<Pair> = Vec::new();
      let before = self.interactions();
      for redex in round.drain(..) {
        // One at a time: the step takes a redex from the bag, and what it makes belongs to the next round.
        self.tm.rbag.push_redex(redex);
        self.step()?;
        next.append(&mut self.tm.rbag.hi);
        next.append(&mut self.tm.rbag.lo);
      }
      profile.add(self.interactions() - before);
      round = next;
    }
    Ok(profile)
  }

  fn step(&mut self) -> Result<(), Stop> {
    let fuel = self.fuel;
    let Some(redex) = self.tm.rbag.hi.last().or(self.tm.rbag.lo.last()) else { return Ok(()) };
    if self.clones_unsafe(redex.get_fst(), redex.get_snd()) {
      return Err(Stop::Clone);
    }
    if !self.tm.interact(self.net, self.book) {
      return Err(Stop::Stuck);
    }
    if self.interactions() > fuel {
      return Err(Stop::Fuel);
    }
    if self.tm.nput * 8 + self.tm.vput * 4 > self.memory {
      return Err(Stop::Memory);
    }
    Ok(())
  }

  fn clones_unsafe(&self, a: Port, b: Port) -> bool {
    let (reference, other) = if a.get_tag() == REF { (a, b) } else { (b, a) };
    reference.get_tag() == REF
      && other.get_tag() == DUP
      && !self.book.defs[(reference.get_val() & 0x0FFF_FFFF) as usize].safe
  }
}
