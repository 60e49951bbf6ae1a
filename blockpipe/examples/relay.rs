//! Standard input of one process to standard output of the other.
//!
//! ```text
//! cat backup.tar | cargo run --example relay backup      # first: reads its standard input
//! cargo run --example relay backup > copy.tar            # second: writes its standard output
//! ```
//!
//! The second process writes nothing twice and ends with success only if it got everything.

use blockpipe::{End, Geometry, Pipe, Reason};
use std::error::Error;
use std::io::{self, Read, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("usage: relay NAME")?;
    match Pipe::named(name).tag("relay").join()? {
        End::Producer(mut producer) => {
            producer.ready(Geometry::new(256 << 10, 8), &[0; 128])?;
            let mut input = io::stdin().lock();
            loop {
                let mut block = producer.empty_block()?;
                match input.read(&mut block) {
                    Ok(0) => break,
                    Ok(length) => block.send(length, 0),
                    Err(error) => {
                        producer.abort(&Reason::new(1, format!("standard input: {error}")))?;
                        return Err(error.into());
                    }
                }
            }
            producer.close(&[0; 32])?;
        }
        End::Consumer(mut consumer) => {
            let mut output = io::stdout().lock();
            while let Some(block) = consumer.filled_block()? {
                if let Err(error) = output.write_all(&block) {
                    consumer.abort(&Reason::new(1, format!("standard output: {error}")));
                    return Err(error.into());
                }
                block.release(0);
            }
            output.flush()?;
            consumer.commit()?.complete()?;
        }
    }
    Ok(())
}
