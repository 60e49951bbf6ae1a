//! Standard input of one process to standard output of the other.
//!
//! ```text
//! cat backup.tar | cargo run --example relay backup      # first: reads its standard input
//! cargo run --example relay backup > copy.tar            # second: writes its standard output
//! ```
//!
//! The second process writes nothing twice and ends with success only if it got everything.

use blockpipe::{End, Pipe, Reason};
use std::error::Error;
use std::io::{self, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("usage: relay NAME")?;
    match Pipe::named(name).tag("relay").blocks(256 << 10, 8).join()? {
        End::Producer(mut producer) => {
            let mut stream = producer.writer();
            let copied = io::copy(&mut io::stdin().lock(), &mut stream).and_then(|_| stream.flush());
            drop(stream);
            if let Err(error) = copied {
                // If it is the pipe that failed, it has ended, and there is nothing to abort.
                let _ = producer.abort(&Reason::new(1, format!("standard input: {error}")));
                return Err(error.into());
            }
            producer.finish()?;
        }
        End::Consumer(mut consumer) => {
            let mut output = io::stdout().lock();
            let copied = io::copy(&mut consumer.reader(), &mut output).and_then(|_| output.flush());
            if let Err(error) = copied {
                consumer.abort(&Reason::new(1, format!("standard output: {error}")));
                return Err(error.into());
            }
            consumer.finish()?;
        }
    }
    Ok(())
}
