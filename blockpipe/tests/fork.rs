//! Forked children: they share the seats and have none of the memory.

#[cfg(windows)]
#[test(not_on_windows = "there is no fork")]
fn a_forked_child() {}

#[cfg(unix)]
pub use unix::run_case;

#[cfg(unix)]
mod unix {
    use crate::util::{Name, Watchdog, ends, finish_both, trusted};
    use blockpipe::{
        Consumer, Geometry, JoinError, Pipe, PipeError, Producer, Reason, ResumePoint, TrustedPeer,
    };
    use std::fmt::Debug;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    /// The environment variable that makes the test executable run one of the cases below: a process of a test has
    /// many threads, and must not fork.
    const CASE: &str = "BLOCKPIPE_TEST_FORK";
    const LONG: Duration = Duration::from_secs(20);

    /// Runs the case that the environment names, if this process was started for that.
    pub fn run_case() {
        let Ok(case) = std::env::var(CASE) else { return };
        match &*case {
            "calls" => calls(),
            "drops" => drops(),
            "commits" => commits(),
            "not ready" => not_ready(),
            "outlives" => outlives(),
            _ => panic!("no such case: {case}"),
        }
        std::process::exit(0);
    }

    fn command(case: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        // Cases run where actors run.
        command.env(CASE, case).env("BLOCKPIPE_TEST_ROLE", "1");
        command
    }

    #[track_caller]
    fn run(case: &str) {
        let _watchdog = Watchdog::new(60);
        let output = command(case).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}\n{text}", output.status);
    }

    /// Returns the child, or `None` in the child.
    fn fork() -> Option<libc::pid_t> {
        // SAFETY: this process has one thread, so the child may do everything.
        match unsafe { libc::fork() } {
            -1 => panic!("{}", std::io::Error::last_os_error()),
            0 => None,
            child => Some(child),
        }
    }

    /// Ends the child with a status that says whether this has panicked.
    fn in_child(act: impl FnOnce()) -> ! {
        let result = catch_unwind(AssertUnwindSafe(act));
        // SAFETY: ends the process without running what is registered to run at the exit of the parent.
        unsafe { libc::_exit(result.is_err().into()) }
    }

    #[track_caller]
    fn succeeds(child: libc::pid_t) {
        let mut status = 0;
        // SAFETY: the status outlives the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "how the child ended");
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "results are made for it")]
    fn is_forked<R: Debug>(result: Result<R, PipeError>) {
        assert!(matches!(result, Err(PipeError::Forked)), "{result:?}");
    }

    /// Checks that this panics with this text.
    #[track_caller]
    fn panics<R>(act: impl FnOnce() -> R, text: &str) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(act)) else { panic!("it did not panic") };
        let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        assert!(said.contains(text), "{said}");
    }

    fn send(producer: &mut Producer<TrustedPeer>, byte: u8) {
        let mut block = producer.empty_block().unwrap();
        block.fill(byte);
        producer.send(block, 100).unwrap();
    }

    /// Checks that another process could take neither end, not even as a replacement.
    fn is_taken(pipe: &Pipe<TrustedPeer>) {
        for pipe in [pipe.clone(), pipe.clone().replace_within(LONG)] {
            assert!(matches!(pipe.join_as_producer(), Err(JoinError::TooManyInstances(_))));
            assert!(matches!(pipe.join_as_consumer(), Err(JoinError::TooManyInstances(_))));
        }
    }

    #[test]
    fn every_call_on_an_end_of_the_parent_is_an_error_in_the_child() {
        run("calls");
    }

    fn calls() {
        let name = Name::new();
        let pipe = trusted(Pipe::named(name.bytes())).blocks(4096, 4).replace_within(LONG);
        let (mut producer, mut consumer) = ends(&pipe);
        let monitors = [producer.monitor(), consumer.monitor()];
        let cancellers = [producer.canceller(), consumer.canceller()];
        (1..=3).for_each(|byte| send(&mut producer, byte));
        let held = consumer.filled_block().unwrap().unwrap();
        let mut empty = producer.empty_block().unwrap();
        let blocks: Vec<_> = (0..2).map(|_| consumer.filled_block().unwrap().unwrap()).collect();
        let Some(child) = fork() else {
            in_child(move || {
                let (reason, point) = (Reason::new(1, "in the child"), ResumePoint::default());
                let text = "a block was used in a forked child";
                assert!(!empty.is_of_this_process() && !held.is_of_this_process());
                panics(|| empty.fill(1), text);
                panics(|| empty.as_mut_ptr(), text);
                panics(|| empty.copy_from(0, &[1]), text);
                panics(|| held.iter().count(), text);
                panics(|| held.as_ptr(), text);
                panics(|| held.copy_to(0, &mut [0]), text);
                panics(|| held.to_vec(), text);
                for monitor in &monitors {
                    panics(|| monitor.snapshot(), "a monitor was used in a forked child");
                    panics(|| monitor.waiting_blocks(), "a monitor was used in a forked child");
                    panics(|| monitor.peer(), "a monitor was used in a forked child");
                }
                cancellers.iter().for_each(blockpipe::Canceller::cancel);

                is_forked(producer.ready(Geometry::new(4096, 4), b""));
                is_forked(producer.start());
                is_forked(producer.empty_block());
                is_forked(producer.try_empty_block());
                is_forked(producer.empty_block_timeout(LONG));
                is_forked(producer.send(empty, 1));
                is_forked(producer.check());
                is_forked(producer.peer_hello());
                is_forked(producer.peer_user());
                is_forked(producer.close(b"trailer"));
                is_forked(producer.finish());
                is_forked(producer.abort(&reason));
                assert_eq!(producer.geometry(), Some(Geometry::new(4096, 4)));
                assert_eq!((producer.predecessor(), producer.remark()), (None, Reason::new(0, "")));

                is_forked(consumer.begin(b"", point));
                is_forked(consumer.filled_block());
                is_forked(consumer.try_filled_block());
                is_forked(consumer.filled_block_timeout(LONG));
                let mut blocks = blocks.into_iter();
                is_forked(consumer.release(blocks.next().unwrap()));
                is_forked(consumer.release_with(blocks.next().unwrap(), &point));
                is_forked(consumer.skip_to_latest());
                is_forked(consumer.skip_all());
                is_forked(consumer.check());
                is_forked(consumer.peer_user());
                is_forked(consumer.commit().map(drop));
                is_forked(consumer.finish());
                is_forked(Err::<(), _>(consumer.abort(&reason)));
                assert_eq!((consumer.geometry(), consumer.peer_hello()), (Geometry::new(4096, 4), &b""[..]));
                assert!(!consumer.predecessor_was_committing() && !consumer.is_at_end());
                assert_eq!((consumer.predecessor(), consumer.trailer()), (None, None));

                let error = producer.writer().write(b"more").unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
                let error = consumer.reader().read(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
            });
        };
        succeeds(child);
        // Nothing has changed here.
        assert_eq!(monitors[0].snapshot().released, 0);
        is_taken(&pipe);
        assert!(empty.is_of_this_process());
        empty.fill(4);
        producer.send(empty, 100).unwrap();
        let block = consumer.filled_block().unwrap().unwrap();
        for (byte, block) in (1..).zip([held].into_iter().chain(blocks).chain([block])) {
            assert_eq!(block.to_vec(), [byte; 100]);
            consumer.release(block).unwrap();
        }
        finish_both(&mut producer, &mut consumer);
        name.assert_gone();
    }

    #[test]
    fn what_a_child_drops_is_still_the_parents() {
        run("drops");
    }

    fn drops() {
        let name = Name::new();
        let pipe = trusted(Pipe::named(name.bytes())).blocks(4096, 2).replace_within(LONG);
        let (mut producer, mut consumer) = ends(&pipe);
        send(&mut producer, 1);
        let (mut empty, filled) =
            (producer.empty_block().unwrap(), consumer.filled_block().unwrap().unwrap());
        let (address, length) = (filled.as_ptr().cast_mut(), 2 * 4096);
        let Some(child) = fork() else {
            in_child(move || {
                // The child uses the same addresses for something of its own.
                let protection = libc::PROT_READ | libc::PROT_WRITE;
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
                // SAFETY: these are the addresses of the parent's blocks, which this child never touches.
                let own = unsafe { libc::mmap(address.cast(), length, protection, flags, -1, 0) };
                assert_eq!(own.cast(), address);
                // SAFETY: just mapped for reading and writing, and used by nobody else.
                let own = unsafe { std::slice::from_raw_parts_mut(address, length) };
                own.fill(42);
                drop(filled);
                drop(empty);
                drop((consumer, producer));
                assert!(own.iter().all(|byte| *byte == 42));
                is_taken(&pipe);
                // A child can open pipes of its own, and fork as well.
                let name = Name::new();
                let (mut producer, mut consumer) = ends(&trusted(Pipe::named(name.bytes())));
                send(&mut producer, 2);
                let block = consumer.filled_block().unwrap().unwrap();
                let Some(grandchild) = fork() else { in_child(|| is_forked(producer.finish())) };
                succeeds(grandchild);
                assert_eq!(block.to_vec(), [2; 100]);
                consumer.release(block).unwrap();
                finish_both(&mut producer, &mut consumer);
                name.assert_gone();
            });
        };
        succeeds(child);
        is_taken(&pipe);
        empty.fill(2);
        producer.send(empty, 100).unwrap();
        assert_eq!(filled.to_vec(), [1; 100]);
        consumer.release(filled).unwrap();
        let block = consumer.filled_block().unwrap().unwrap();
        assert_eq!((block.number(), block.to_vec()), (1, vec![2; 100]));
        consumer.release(block).unwrap();
        finish_both(&mut producer, &mut consumer);
        name.assert_gone();
    }

    #[test]
    fn a_child_cannot_decide_the_verdict() {
        run("commits");
    }

    fn commits() {
        let name = Name::new();
        let (mut producer, mut consumer) = ends(&trusted(Pipe::named(name.bytes())));
        std::thread::scope(|scope| {
            let (result, verdict) = std::sync::mpsc::channel();
            let monitor = producer.monitor();
            let finishing = scope.spawn(move || result.send(producer.finish()).map(|()| producer.remark()));
            assert!(consumer.filled_block().unwrap().is_none());
            let committing = consumer.commit().unwrap();
            for ends in 0..3 {
                // This process has a second thread, which only waits.
                if let Some(child) = fork() {
                    succeeds(child);
                    continue;
                }
                in_child(move || {
                    committing.remark(&Reason::new(9, "from the child"));
                    match ends {
                        0 => is_forked(committing.complete()),
                        1 => is_forked(Err::<(), _>(committing.abort(&Reason::new(1, "from the child")))),
                        _ => drop(committing),
                    }
                });
            }
            assert_eq!(monitor.snapshot().phase, blockpipe::Phase::Committing);
            assert!(verdict.try_recv().is_err());
            committing.complete().unwrap();
            verdict.recv().unwrap().unwrap();
            assert_eq!(finishing.join().unwrap().unwrap(), Reason::new(0, ""));
        });
    }

    #[test]
    fn an_end_that_is_not_ready_is_of_no_use_in_a_child() {
        run("not ready");
    }

    fn not_ready() {
        let name = Name::new();
        let pipe = trusted(Pipe::named(name.bytes())).blocks(4096, 2).replace_within(LONG);
        let (producer, mut consumer) = ends(&pipe);
        consumer.begin(b"", ResumePoint::default()).unwrap();
        drop(producer);
        let mut producer = pipe.join_as_producer().unwrap();
        let Some(child) = fork() else {
            in_child(move || {
                assert_eq!((producer.geometry(), producer.predecessor()), (None, Some(&b""[..])));
                is_forked(producer.start());
                is_forked(producer.empty_block());
            });
        };
        succeeds(child);
        assert_eq!(producer.geometry(), Some(Geometry::new(4096, 2)));
        finish_both(&mut producer, &mut consumer);
    }

    /// A process that is killed when it is dropped, and its output.
    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Joins as the producer and forks. The child drops its copy once it reads a line, and lives until its input ends.
    fn outlives() {
        let name: Vec<u8> = std::env::var("BLOCKPIPE_TEST_NAME").unwrap().into();
        let mut producer = trusted(Pipe::named(name)).blocks(4096, 2).join_as_producer().unwrap();
        send(&mut producer, 1);
        if fork().is_some() {
            println!("forked");
            loop {
                std::thread::park();
            }
        }
        in_child(move || {
            let mut lines = std::io::stdin().lines();
            lines.next().unwrap().unwrap();
            drop(producer);
            println!("dropped");
            assert!(lines.next().is_none());
        });
    }

    #[test]
    fn a_seat_is_free_once_the_parent_is_dead_and_the_child_has_dropped_its_copy() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();
        let text = String::from_utf8(name.bytes().to_vec()).unwrap();
        let mut command = command("outlives");
        command.env("BLOCKPIPE_TEST_NAME", text).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut parent = Killed(command.spawn().unwrap());
        let mut lines = BufReader::new(parent.0.stdout.take().unwrap()).lines();
        let mut input = parent.0.stdin.take().unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "forked");

        let mut consumer: Consumer = Pipe::named(name.bytes()).join_as_consumer().unwrap();
        let block = consumer.filled_block().unwrap().unwrap();
        assert_eq!(block.to_vec(), [1; 100]);
        consumer.release(block).unwrap();
        parent.0.kill().unwrap();
        parent.0.wait().unwrap();
        // The child still has the seat.
        assert!(consumer.filled_block_timeout(Duration::from_millis(300)).unwrap().is_none());
        consumer.check().unwrap();
        writeln!(input).unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "dropped");
        // The child lives, but has given it up.
        let error = consumer.filled_block().unwrap_err();
        assert!(matches!(error, PipeError::PeerDied), "{error:?}");
        name.assert_gone();
        drop(input);
    }
}
