//! Pipes in a directory that several users can enter, and pipes seen by an observer.

/// Kernel objects have no directory, and cannot be listed.
#[cfg(windows)]
#[test]
fn directories_and_lists_are_not_supported() {
    use blockpipe::{JoinError, Pipe, pipes};
    let is_unsupported = |error: &JoinError| matches!(error, JoinError::Io { source, .. } if source.kind() == std::io::ErrorKind::Unsupported);
    assert!(is_unsupported(&Pipe::named("x").in_directory(r"C:\").join().unwrap_err()));
    assert!(is_unsupported(&pipes(None).unwrap_err()));
}

#[cfg(windows)]
#[test(not_on_windows = "pipes are not files there")]
fn directories_of_several_users() {}

#[cfg(unix)]
mod unix {
    use crate::util::{Actor, Name, Place, User, Watchdog, until};
    use blockpipe::{End, Geometry, JoinError, Phase, Pipe, PipeError, Producer, Side, pipes, remove_dead};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::path::{Path, PathBuf};
    use std::time::{Duration, Instant};

    type Change = fn(&Path, &Path);

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn producer(pipe: &Pipe) -> Producer {
        let End::Producer(mut producer) = pipe.join().unwrap() else {
            panic!("a new pipe has no predecessor")
        };
        producer.ready(Geometry::new(4096, 2), b"an origin").unwrap();
        producer
    }

    #[test]
    fn names_that_somebody_has_put_there_hold_nobody_up() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        for n in 0..100_000 {
            fs::File::create(place.0.join(format!("{n:032x}"))).unwrap();
        }
        let begun = Instant::now();
        drop(producer(&place.pipe(&name)));
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_pair_in_a_directory_knows_its_users_and_cleans_up() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        let pipe = place.pipe(&name);
        assert!(pipe.inspect().unwrap().is_none() && pipes(Some(place.0.as_os_str())).unwrap().is_empty());

        let mut producer = producer(&pipe);
        assert_eq!(pipe.directory().unwrap(), place.0, "what a process that waits can tell its user");
        // The end returns the directory that it has opened, even if its path leads elsewhere now.
        let (path, moved) = (Path::new(&place.0).to_owned(), Path::new(&place.0).with_extension("moved"));
        fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink("/", &path).unwrap();
        let opened = rustix::fs::fstat(producer.directory().unwrap()).unwrap();
        assert_eq!(opened.st_ino, fs::metadata(&moved).unwrap().ino());
        fs::remove_file(&path).unwrap();
        fs::rename(&moved, &path).unwrap();
        let lonely = pipe.inspect().unwrap().unwrap();
        assert_eq!(
            (lonely.phase, lonely.users, lonely.producer_hello),
            (Phase::Alone, [Some(me()), None], Some(b"an origin".to_vec()))
        );
        assert!(
            Pipe::named(name.bytes()).inspect().unwrap().is_none(),
            "this user's own place is another one"
        );
        std::thread::scope(|scope| {
            let starting = scope.spawn(|| producer.start().map(|_| producer));
            until("it waits", || pipe.inspect().unwrap().unwrap().waits.is_some());
            let (who, since) = pipe.inspect().unwrap().unwrap().waits.unwrap();
            assert!(who == Side::Producer && since < Duration::from_secs(10), "{who:?} {since:?}");
            assert_eq!(fs::metadata(&place.files()[0]).unwrap().mode() & 0o117, 0);

            let mut consumer = pipe.join_as_consumer().unwrap();
            assert_eq!(consumer.peer_user().unwrap(), Some(me()));
            consumer.begin(b"a target", blockpipe::ResumePoint::default()).unwrap();
            let mut producer = starting.join().unwrap().unwrap();
            assert_eq!(producer.peer_user().unwrap(), Some(me()));
            let mut block = producer.empty_block().unwrap();
            block.copy_from(0, b"a word and a half");
            producer.send(block, 17).unwrap();
            let all = pipes(Some(place.0.as_os_str())).unwrap();
            let [Ok(moving)] = &all[..] else { panic!("{all:?}") };
            assert_eq!((moving.phase, moving.users, moving.sent), (Phase::Moving, [Some(me()); 2], 17));
            assert_eq!((&moving.name[..], moving.waits, moving.is_dead()), (name.bytes(), None, false));
            assert!(
                matches!(pipe.join(), Err(JoinError::TooManyInstances(there)) if there.users == [Some(me()); 2])
            );

            let sending = scope.spawn(move || producer.close(&[5; 64]));
            let (block, mut copy) = (consumer.filled_block().unwrap().unwrap(), [0; 17]);
            block.copy_to(0, &mut copy);
            let mut end = [0; 4];
            block.copy_to(8, &mut end);
            assert_eq!(&end, b"nd a");
            assert_eq!(&copy, b"a word and a half");
            consumer.release(block).unwrap();
            assert!(consumer.filled_block().unwrap().is_none());
            assert_eq!(consumer.trailer().unwrap(), &[5; 64]);
            consumer.commit().unwrap().complete().unwrap();
            sending.join().unwrap().unwrap();
        });
        assert_eq!(place.files(), Vec::<PathBuf>::new());
    }

    #[test]
    fn only_what_a_killed_pair_left_is_removed() {
        let _watchdog = Watchdog::new(60);
        let (place, dead, alive) = (Place::new(0o700), Name::new(), Name::new());
        let mut lives = Actor::start();
        lives.expect(&place.join(&alive), "producer");
        let mut dies = Actor::start();
        dies.expect(&place.join(&dead), "producer");
        dies.kill();

        let seen = pipes(Some(place.0.as_os_str())).unwrap();
        assert_eq!(seen.iter().filter(|pipe| pipe.as_ref().unwrap().is_dead()).count(), 1, "{seen:?}");
        let removed = remove_dead(Some(place.0.as_os_str())).unwrap();
        assert!(matches!(&removed[..], [Ok(one)] if one.name == dead.bytes()), "{removed:?}");
        assert!(place.pipe(&dead).inspect().unwrap().is_none());
        assert!(
            place
                .files()
                .iter()
                .all(|path| path.to_str().unwrap().contains(&format!("{:032x}", alive.key())))
        );
        assert!(place.pipe(&alive).inspect().unwrap().unwrap().producer_alive);
        assert!(remove_dead(Some(place.0.as_os_str())).unwrap().is_empty());
    }

    /// Stops a process that removes dead pipes at fifty places of its work: it must never hold anything of a pipe that
    /// is in use.
    #[test]
    fn a_stopped_sweep_disturbs_no_pair() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o700), Name::new());
        let mut sweeps = Actor::start();
        let (mut first, mut second, mut third) = (Actor::start(), Actor::start(), Actor::start());
        first.expect(&place.join(&name), "producer");
        first.expect("ready 4096 2", "Ok(())");
        second.expect(&place.join(&name), "consumer");
        sweeps.expect(&format!("sweep {}", place.0.display()), "sweeps");
        for _ in 0..50 {
            sweeps.stop();
            third.expect_refusal(&place.join(&name), "TooManyInstances");
            sweeps.go_on();
        }
    }

    #[test]
    fn what_is_no_directory_for_a_pipe_is_refused() {
        let (place, name) = (Place::new(0o2770), Name::new());
        let missing = Pipe::named("x").in_directory(place.0.join("nowhere")).join().unwrap_err();
        assert!(matches!(missing, JoinError::Io { .. }), "{missing}");
        let _producer = producer(&place.pipe(&name));
        fs::set_permissions(place.file(&name), Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(
            place.pipe(&name).join(),
            Err(JoinError::Foreign { what: "other users may open it", .. })
        ));
    }

    /// Returns the producer's user card: one file, which is the last that `ls` shows.
    fn card(place: &Place, name: &Name) -> PathBuf {
        place.0.join(format!("{:032x}-producer-user", name.key()))
    }

    #[test]
    fn a_peer_without_a_valid_card_has_no_user() {
        let _watchdog = Watchdog::new(60);
        let changes: [(&str, Change); 5] = [
            ("none", |card, _| fs::remove_file(card).unwrap()),
            ("of another pairing", |card, other| fs::rename(other, card).unwrap()),
            ("with two names", |card, _| fs::hard_link(card, card.with_extension("too")).unwrap()),
            ("that others can write", |card, _| {
                fs::set_permissions(card, Permissions::from_mode(0o660)).unwrap();
            }),
            ("that is a link", |card, _| {
                fs::rename(card, card.with_extension("real")).unwrap();
                std::os::unix::fs::symlink(card.with_extension("real"), card).unwrap();
            }),
        ];
        for (what, change) in changes {
            let (place, name, other) = (Place::new(0o2770), Name::new(), Name::new());
            let _producer = producer(&place.pipe(&name));
            let _other = producer(&place.pipe(&other));
            change(&card(&place, &name), &card(&place, &other));
            let consumer = place.pipe(&name).join_as_consumer().unwrap();
            assert!(matches!(consumer.peer_user(), Err(PipeError::CallFailed { .. })), "{what}");
        }
    }

    /// Checks that a card is worth nothing once its process is gone, and at no other pipe.
    #[test]
    fn the_card_of_a_dead_process_proves_nothing() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        let (pipe, saved) = (place.file(&name), place.0.join("saved"));
        let mut dies = Actor::start();
        dies.expect(&place.join(&name), "producer");
        let contents = (fs::read(&pipe).unwrap(), fs::read(card(&place, &name)).unwrap());
        fs::rename(card(&place, &name), &saved).unwrap();
        dies.kill();
        let mut producer = producer(&place.pipe(&name));
        let consumer = place.pipe(&name).join_as_consumer().unwrap();
        let set_generation = |generation: &[u8]| {
            let file = fs::File::options().write(true).open(&pipe).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, generation, 16).unwrap();
        };
        // The old generation and the old card are put back.
        set_generation(&contents.0[16..24]);
        fs::rename(&saved, card(&place, &name)).unwrap();
        assert!(matches!(consumer.peer_user(), Err(PipeError::CallFailed { .. })));
        let _ = producer.ready(Geometry::new(4096, 1), b"");
    }

    #[test]
    fn the_card_of_a_process_at_another_pipe_proves_nothing() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        let pipe = place.file(&name);
        let mut waits = Actor::start();
        waits.expect(&place.join(&name), "producer");
        // Its pipe is moved away, and a similar one is put in its place; the card stays.
        let (content, word) = (fs::read(&pipe).unwrap(), card(&place, &name));
        fs::rename(&pipe, pipe.with_extension("moved")).unwrap();
        fs::rename(&word, word.with_extension("kept")).unwrap();
        let _producer = producer(&place.pipe(&name));
        let consumer = place.pipe(&name).join_as_consumer().unwrap();
        let file = fs::File::options().write(true).open(&pipe).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &content[16..24], 16).unwrap();
        fs::rename(word.with_extension("kept"), &word).unwrap();
        assert!(matches!(consumer.peer_user(), Err(PipeError::CallFailed { .. })));
        fs::remove_file(pipe.with_extension("moved")).unwrap();
    }

    /// Another user, or a mistake, can put something in the directory that this library cannot remove.
    #[test]
    fn what_has_the_name_of_a_card_is_reported_and_no_pipe_is_left() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        for side in ["producer", "consumer"] {
            let card = place.0.join(format!("{:032x}-{side}-user", name.key()));
            fs::create_dir(&card).unwrap();
            let pipe = place.pipe(&name);
            for _ in 0..2 {
                let error = match side {
                    "producer" => pipe.join_as_producer().unwrap_err(),
                    _ => pipe.join_as_consumer().unwrap_err(),
                };
                let JoinError::Foreign { path, what } = &error else { panic!("{error}") };
                assert_eq!((Path::new(path), *what), (&*card, "a directory has the name of a user card"));
                assert_eq!(place.files(), std::slice::from_ref(&card));
            }
            fs::remove_dir(card).unwrap();
        }
        drop(producer(&place.pipe(&name)));
    }

    /// The peer waits with its pipe, which must stay.
    #[test]
    fn a_process_that_cannot_publish_its_card_does_not_disturb_the_one_that_waits() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        let _producer = producer(&place.pipe(&name));
        let card = place.0.join(format!("{:032x}-consumer-user", name.key()));
        fs::create_dir(&card).unwrap();
        let refused = place.pipe(&name).join_as_consumer().unwrap_err();
        assert!(matches!(&refused, JoinError::Foreign { path, .. } if Path::new(path) == card), "{refused}");
        fs::remove_dir(card).unwrap();
        place.pipe(&name).join_as_consumer().unwrap();
    }

    #[test(needs = [root])]
    fn what_another_user_has_put_there_is_reported_by_its_path() {
        let _watchdog = Watchdog::new(60);
        let (mine, theirs, group) = (20_001, 20_003, 20_000);
        // With the sticky bit, a user can remove no file of another.
        let (place, name) = (Place::new(0o3770), Name::new());
        chown(&place.0, Some(0), Some(group)).unwrap();
        let mut actor = User::new(mine, group).actor();
        let (pipe, card) = (place.0.join(format!("{:032x}", name.key())), card(&place, &name));
        for (path, mode, what) in [
            (&card, 0o660, "a file of another user has the name of a user card"),
            (&pipe, 0o600, "this user may not open it"),
        ] {
            fs::write(path, "").unwrap();
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            chown(path, Some(theirs), Some(group)).unwrap();
            actor.expect_refusal(&place.join(&name), what);
            assert_eq!(place.files(), std::slice::from_ref(path));
            fs::remove_file(path).unwrap();
        }
    }

    #[test(needs = [root])]
    fn two_users_meet_and_know_each_other() {
        let _watchdog = Watchdog::new(60);
        let (group, backup, store) = (20_000, 20_001, 20_002);
        // Without the set-group-ID bit: new files belong to the group all the same.
        let (place, name) = (Place::new(0o770), Name::new());
        chown(&place.0, Some(0), Some(group)).unwrap();
        let [mut producer, mut consumer] = [backup, store].map(|user| User::new(user, group).actor());
        producer.expect(&place.join(&name), "producer");
        producer.expect("ready 4096 2", "Ok(())");
        consumer.expect(&place.join(&name), "consumer");
        let there = place.pipe(&name).inspect().unwrap().unwrap();
        assert_eq!(there.users, [Some(backup), Some(store)]);
        producer.tell("stream 20000 1");
        consumer.expect("peer_user", &format!("Ok(Some({backup}))"));
        consumer.expect("drain 1", "drained 20000");
        consumer.expect("commit", "Ok");
        consumer.expect("complete", "Ok(())");
        producer.expect_answer("Ok(())");
        assert_eq!(place.files(), Vec::<PathBuf>::new());

        // A user outside the group cannot join.
        let mut stranger = User::new(20_003, 20_003).actor();
        stranger.expect_refusal(&place.join(&name), "PermissionDenied");
    }
}
