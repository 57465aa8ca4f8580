//! A persistent Bend checker: framed programs in, framed results out.
//!
//! Every frame is a little-endian u32 length and that many bytes. A request is one header line
//! `FUEL MEMORY_BYTES RESULT_BYTES TYPE` and a Bend program whose `main` has that type; a response is one header
//! line `STATUS INTERACTIONS COMPILE_US EVAL_US` and a text, the result or the reason. With `profile` for a type the
//! text is the shape of the computation (rounds, width, steps by number of processors).
//!
//! The programs are hostile. There is no IO to call (the prelude has none and raw nets are refused before), the
//! loader denies imports, evaluation stops at a number of interactions and of allocated bytes that does not depend
//! on the machine, results are read iteratively up to a cap, panics are caught, and after start-up a seccomp filter
//! leaves the process little more than reading, writing and memory. Whatever still kills it is seen by the parent
//! as the end of the stream.

mod check;
mod evaluate;
mod frames;
mod lockdown;
mod memory;
mod prelude;
mod readback;

/// Compiling recurses over terms; most of the compiler grows its stack itself, the rest gets this much.
const STACK_BYTES: usize = 256 << 20;

const WARM_UP: &[u8] = b"1000 1000000 1000 u24\ndef main() -> u24:\n  return 6 * 7\n";

fn main() {
  let mut args = std::env::args().skip(1);
  if args.next().as_deref() == Some("--version") {
    println!("{} {} (bend-lang 0.2.38, hvm 2.0.22)", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    return;
  }
  let checks: u64 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1000);
  let heap: u64 = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(1 << 30);
  let server = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || serve(checks, heap));
  let code = match server.map(|thread| thread.join()) {
    Ok(Ok(())) => 0,
    _ => 70,
  };
  std::process::exit(code);
}

/// Answer up to `checks` requests, then leave: names are interned for ever, so a worker is not kept for ever.
fn serve(checks: u64, heap: u64) {
  let mut pipe = frames::Frames::take_stdio();
  std::panic::set_hook(Box::new(|_| {}));
  let prelude = prelude::Prelude::load();
  let arena = memory::Arena::reserve();
  // The first check asks the system for the bounds of the stack, which the filter would not allow later.
  check::answer(WARM_UP, &prelude, &arena);
  lockdown::limits(heap, STACK_BYTES as u64);
  lockdown::seccomp();
  if pipe.write(b"ready").is_err() {
    return;
  }
  for _ in 0..checks {
    let Ok(Some(request)) = pipe.read() else { return };
    let (response, sound) = check::answer(&request, &prelude, &arena);
    if pipe.write(response.as_bytes()).is_err() || !sound {
      return;
    }
  }
}
