//! The peer is the process that was identified first, and no other that takes its seat.

#[cfg(windows)]
#[test(not_on_windows = "only processes of one user can meet there")]
fn the_identity_of_a_peer() {}

#[cfg(unix)]
mod unix {
    use crate::util::{Actor, Name, Place, User, Watchdog, locked_gate, meanwhile, pause};
    use blockpipe::{Consumer, Geometry, PipeError, ResumePoint};
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::chown;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    /// Starts a producer, and joins it.
    fn pair(place: &Place, name: &Name, replace: Option<Duration>) -> (Actor, Consumer) {
        let mut producer = Actor::start();
        let option = if replace.is_some() { " replace 60000" } else { "" };
        producer.expect(&format!("{}{option}", place.join(name)), "producer");
        producer.expect("ready 4096 2", "Ok(())");
        let pipe = place.pipe(name);
        let pipe = if let Some(time) = replace { pipe.replace_within(time) } else { pipe };
        (producer, pipe.join_as_consumer().unwrap())
    }

    #[test]
    fn a_free_seat_is_no_peer() {
        let _watchdog = Watchdog::new(60);
        for asked_before in [false, true] {
            let (place, name) = (Place::new(0o2770), Name::new());
            let (mut producer, consumer) = pair(&place, &name, None);
            if asked_before {
                assert_eq!(consumer.peer_user().unwrap(), Some(me()));
            }
            producer.kill();
            assert!(matches!(consumer.peer_user(), Err(PipeError::PeerDied)), "asked before: {asked_before}");
            assert!(matches!(consumer.peer_user(), Err(PipeError::Over)));
        }
        let (place, name) = (Place::new(0o2770), Name::new());
        let mut producer = place.pipe(&name).join_as_producer().unwrap();
        producer.ready(Geometry::new(4096, 2), b"").unwrap();
        assert!(matches!(producer.peer_user(), Err(PipeError::Misuse(_))), "no consumer has come");
        // A consumer that the header claims has begun, but that does not exist.
        let file = fs::File::options().write(true).open(place.file(&name)).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &1_u32.to_ne_bytes(), blockpipe::offsets::BEGUN)
            .unwrap();
        assert!(matches!(producer.peer_user(), Err(PipeError::PeerDied)));
    }

    /// Anybody who can open the pipe can take a dead process's seat and publish a card of their own.
    #[test]
    fn the_card_of_another_process_does_not_make_it_the_peer() {
        let _watchdog = Watchdog::new(60);
        for lives in [false, true] {
            let (place, name) = (Place::new(0o2770), Name::new());
            let (mut producer, consumer) = pair(&place, &name, None);
            assert_eq!(consumer.peer_user().unwrap(), Some(me()));
            let card = place.0.join(format!("{:032x}-producer-user", name.key()));
            let text = fs::read(&card).unwrap();
            if !lives {
                producer.kill();
            }
            fs::remove_file(&card).unwrap();
            let mut other = locked_gate(&card);
            other.write_all(&text).unwrap();
            if lives {
                assert_eq!(
                    consumer.peer_user().unwrap(),
                    Some(me()),
                    "the peer lives, whatever its card's name leads to"
                );
            } else {
                assert!(matches!(consumer.peer_user(), Err(PipeError::PeerDied)));
            }
        }
    }

    #[test]
    fn a_replacement_is_waited_for_and_identified() {
        let _watchdog = Watchdog::new(60);
        for asked_before in [false, true] {
            let (place, name) = (Place::new(0o2770), Name::new());
            let (mut first, mut consumer) = pair(&place, &name, Some(MINUTE));
            consumer.begin(b"", ResumePoint::default()).unwrap();
            if asked_before {
                assert_eq!(consumer.peer_user().unwrap(), Some(me()));
            }
            first.kill();
            let mut second = Actor::start();
            let (user, consumer) = meanwhile(
                move || (consumer.peer_user(), consumer),
                || {
                    pause(600);
                    second.expect(&format!("{} replace 60000", place.join(&name)), "producer");
                },
            );
            assert_eq!(user.unwrap(), Some(me()));
            assert_eq!(consumer.peer_user().unwrap(), Some(me()));
        }
        let (place, name) = (Place::new(0o2770), Name::new());
        let (mut first, mut consumer) = pair(&place, &name, Some(Duration::from_millis(100)));
        consumer.begin(b"", ResumePoint::default()).unwrap();
        assert_eq!(consumer.peer_user().unwrap(), Some(me()));
        first.kill();
        assert!(matches!(consumer.peer_user(), Err(PipeError::PeerDied)), "nobody came in time");
    }

    /// In a user namespace, all users that it does not know share one number, which identifies none of them.
    #[test(needs = [root, own_users])]
    fn users_that_a_namespace_does_not_know_are_not_one_user() {
        let _watchdog = Watchdog::new(60);
        let (group, backup, store, third) = (20_000, 20_001, 20_002, 20_003);
        for (kills, answer) in [(true, "Err(PeerDied)"), (false, "Ok(None)")] {
            let (place, name) = (Place::new(0o2770), Name::new());
            chown(&place.0, Some(0), Some(group)).unwrap();
            let join = format!("{} replace 60000", place.join(&name));
            let mut producer = User::new(backup, group).actor();
            producer.expect(&join, "producer");
            producer.expect("ready 4096 2", "Ok(())");
            let mut consumer = User::new(store, group).lonely_actor();
            consumer.expect(&join, "consumer");
            consumer.expect("peer_user", "Ok(None)");
            consumer.expect("begin", "Ok(())");
            let mut stranger = User::new(third, group).actor();
            if kills {
                producer.kill();
                stranger.expect(&join, "producer");
            }
            consumer.expect("peer_user", answer);
        }
    }
}
