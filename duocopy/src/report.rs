//! What `--json` writes to standard output: one object per line, for programs.

use serde_json::{Value, json};
use std::io::{self, Write};

/// Of the objects below. A program that reads them may meet new fields and types; what is there keeps its meaning.
pub const VERSION: u32 = 1;

/// Writes one line at once. Nobody may be there to read it.
pub fn write(object: &Value) {
    // In one piece: the other process may write to the same pipe.
    let line = format!("{object}\n");
    let mut output = io::stdout().lock();
    let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
}

/// Something that happens to a copy.
pub fn event(kind: &str, mut fields: Value) {
    fields["type"] = json!(kind);
    fields["version"] = json!(VERSION);
    write(&fields);
}
