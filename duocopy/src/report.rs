//! What `--json` writes to standard output: one object per line, for programs.

use serde_json::{Value, json};
use std::io::{self, Write};

/// Of the objects. A program that reads them may meet new fields and types; what is there keeps its meaning.
const VERSION: u32 = 1;

/// Writes an object of this type. Nobody may be there to read it.
pub fn object(kind: &str, mut fields: Value) {
    fields["type"] = json!(kind);
    fields["version"] = json!(VERSION);
    // In one piece: the other process may write to the same pipe.
    let line = format!("{fields}\n");
    let mut output = io::stdout().lock();
    let _ = output.write_all(line.as_bytes()).and_then(|()| output.flush());
}
