//! One request: compile, reduce, read back.

use crate::evaluate::{Machine, Stop};
use crate::memory::Arena;
use crate::prelude::Prelude;
use crate::readback::{read, Failure, Type};
use bend::diagnostics::{Diagnostics, DiagnosticsConfig, Severity};
use bend::fun::load_book::do_parse_book;
use bend::imports::{Import, PackageLoader, Sources};
use bend::{compile_book, CompileOpts};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::time::Instant;

struct DenyAll;

impl PackageLoader for DenyAll {
  fn load(&mut self, _: &mut Import) -> Result<Sources, String> {
    Err("imports are not accepted".to_string())
  }
}

struct Request<'a> {
  fuel: u64,
  memory: usize,
  result_bytes: usize,
  /// None: profile the program instead of reading its result.
  typ: Option<Type>,
  source: &'a str,
}

struct Outcome {
  status: &'static str,
  text: String,
  interactions: u64,
  compile_us: u128,
  eval_us: u128,
}

/// The response, and whether the worker may go on: after a panic inside the compiler its interner may be poisoned.
pub fn answer(frame: &[u8], prelude: &Prelude, arena: &Arena) -> (String, bool) {
  let Some(request) = parse(frame) else {
    return ("protocol 0 0 0\nmalformed request".to_string(), false);
  };
  let start = Instant::now();
  let compiled = catch_unwind(AssertUnwindSafe(|| compile(request.source, prelude)));
  let compile_us = start.elapsed().as_micros();
  let book = match compiled {
    Ok(Ok(book)) => book,
    Ok(Err(diagnostics)) => return (header("compile", 0, compile_us, 0, &diagnostics.to_string()), true),
    Err(_) => return (header("compile", 0, compile_us, 0, "the compiler panicked"), false),
  };
  let outcome = run(&request, &book, arena, compile_us);
  (
    header(outcome.status, outcome.interactions, outcome.compile_us, outcome.eval_us, &outcome.text),
    true,
  )
}

fn header(status: &str, interactions: u64, compile_us: u128, eval_us: u128, text: &str) -> String {
  format!("{status} {interactions} {compile_us} {eval_us}\n{text}")
}

fn parse(frame: &[u8]) -> Option<Request<'_>> {
  let text = std::str::from_utf8(frame).ok()?;
  let (head, source) = text.split_once('\n')?;
  let mut words = head.split(' ');
  let fuel = words.next()?.parse().ok()?;
  let memory = words.next()?.parse().ok()?;
  let result_bytes = words.next()?.parse().ok()?;
  let typ = match words.next()? {
    "profile" => None,
    text => Some(Type::parse(text)?),
  };
  words.next().is_none().then_some(Request { fuel, memory, result_bytes, typ, source })
}

/// The same options as `bend run-rs -D recursion-cycle`, so that both count the same interactions.
fn compile(source: &str, prelude: &Prelude) -> Result<hvm::hvm::Book, Diagnostics> {
  let mut config = DiagnosticsConfig::new(Severity::Allow, false);
  config.recursion_cycle = Severity::Error;
  let options = CompileOpts { eta: false, ..CompileOpts::default() };
  let parsed = do_parse_book(source, Path::new("program.bend"), prelude.for_program(source))?;
  let mut book = parsed.load_imports(DenyAll, config)?;
  let compiled = compile_book(&mut book, options, config, None)?;
  Ok(compiled.hvm_book.build())
}

fn run(request: &Request, book: &hvm::hvm::Book, arena: &Arena, compile_us: u128) -> Outcome {
  let start = Instant::now();
  let net = arena.net();
  let mut machine = Machine::new(&net, book, request.fuel, request.memory);
  let evaluated = catch_unwind(AssertUnwindSafe(|| {
    let Some(typ) = &request.typ else {
      return machine.profile().map(|profile| profile.to_string()).map_err(Failure::Stopped);
    };
    // Definition 0 is `main`.
    let root = machine.expand(0).map_err(Failure::Stopped)?;
    read(&mut machine, root, typ, request.result_bytes)
  }));
  let (status, text) = match evaluated {
    Ok(Ok(text)) => ("ok", text),
    Ok(Err(Failure::Stopped(Stop::Fuel))) => ("fuel", format!("more than {} interactions", request.fuel)),
    Ok(Err(Failure::Stopped(Stop::Memory))) => ("memory", format!("more than {} bytes of nodes", request.memory)),
    Ok(Err(Failure::Stopped(Stop::Clone))) => {
      ("runtime", "a function that duplicates its argument was itself duplicated".to_string())
    }
    Ok(Err(Failure::Stopped(Stop::Stuck))) => ("runtime", "the evaluation is stuck".to_string()),
    Ok(Err(Failure::TooLarge)) => ("output", format!("the result is larger than {} bytes", request.result_bytes)),
    Ok(Err(Failure::Bad(why))) => ("bad", why),
    Err(panic) => ("runtime", reason(panic)),
  };
  let interactions = machine.interactions();
  let (nodes, vars) = machine.allocated();
  arena.release(nodes, vars);
  Outcome { status, text, interactions, compile_us, eval_us: start.elapsed().as_micros() }
}

fn reason(panic: Box<dyn std::any::Any + Send>) -> String {
  let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
  text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "the evaluation panicked".to_string())
}
