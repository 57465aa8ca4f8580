//! Bend's builtins without IO, and the parts of them that a program needs.
//!
//! Type-checking all builtins is most of what a compilation costs (23 of 40 ms with the `bend` command). A program
//! gets the definitions it names and what these name in turn; of IO nothing exists at all.

use bend::fun::parser::ParseBook;
use bend::fun::Name;
use std::collections::{HashMap, HashSet};

/// What the compiler itself calls when it desugars maps.
const MAP_CALLS: &[&str] = &["Map/empty", "Map/get", "Map/set", "Map/map"];

pub struct Prelude {
  book: ParseBook,
  names: HashMap<String, Name>,
  needs: HashMap<String, Vec<String>>,
}

impl Prelude {
  pub fn load() -> Self {
    let mut book = ParseBook::builtins();
    book.fun_defs.retain(|name, _| !is_io(name));
    book.imp_defs.retain(|name, _| !is_io(name));
    book.hvm_defs.retain(|name, _| !is_io(name));
    book.adts.retain(|name, _| !is_io(name));
    book.ctrs.retain(|name, _| !is_io(name));
    let mut text: HashMap<Name, String> = HashMap::new();
    for (name, def) in &book.fun_defs {
      text.insert(name.clone(), format!("{:?}", def.rules));
    }
    for (name, def) in &book.imp_defs {
      text.insert(name.clone(), format!("{:?}", def.body));
    }
    for (name, def) in &book.hvm_defs {
      text.insert(name.clone(), format!("{:?}", def.body));
    }
    let names: HashMap<String, Name> = text.keys().map(|name| (name.to_string(), name.clone())).collect();
    let needs = text
      .iter()
      .map(|(name, body)| {
        let found = words(body).filter(|word| names.contains_key(*word)).map(String::from).collect();
        (name.to_string(), found)
      })
      .collect();
    Prelude { book, names, needs }
  }

  /// The builtins that `source` can reach.
  pub fn for_program(&self, source: &str) -> ParseBook {
    let mut wanted: HashSet<&str> = HashSet::new();
    let mut queue: Vec<&str> = words(source).filter(|word| self.names.contains_key(*word)).collect();
    if source.contains('{') || source.contains('[') {
      queue.extend(MAP_CALLS.iter().filter(|_| uses_maps(source)));
    }
    while let Some(name) = queue.pop() {
      if wanted.insert(name) {
        if let Some(needs) = self.needs.get(name) {
          queue.extend(needs.iter().map(String::as_str));
        }
      }
    }
    let mut book = ParseBook { adts: self.book.adts.clone(), ctrs: self.book.ctrs.clone(), ..Default::default() };
    for name in wanted {
      let name = &self.names[name];
      if let Some(def) = self.book.fun_defs.get(name) {
        book.fun_defs.insert(name.clone(), def.clone());
      } else if let Some(def) = self.book.imp_defs.get(name) {
        book.imp_defs.insert(name.clone(), def.clone());
      } else if let Some(def) = self.book.hvm_defs.get(name) {
        book.hvm_defs.insert(name.clone(), def.clone());
      }
    }
    // The order of insertion decides the order of definitions; a hash set's would differ from run to run.
    book.fun_defs.sort_keys();
    book.imp_defs.sort_keys();
    book.hvm_defs.sort_keys();
    book
  }
}

fn is_io(name: &str) -> bool {
  name == "IO" || name == "IOError" || name.starts_with("IO/") || name.starts_with("IOError/")
}

fn is_name_char(c: char) -> bool {
  c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/')
}

fn words(text: &str) -> impl Iterator<Item = &str> {
  text.split(|c: char| !is_name_char(c)).filter(|word| !word.is_empty())
}

/// `name[key]`, or a brace that does not follow a name: a map literal.
fn uses_maps(source: &str) -> bool {
  let mut last = ' ';
  for c in source.chars() {
    if (c == '[' && is_name_char(last)) || c == '{' {
      return true;
    }
    last = c;
  }
  false
}
