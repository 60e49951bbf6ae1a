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
    use crate::util::{Actor, Name, Watchdog, until};
    use blockpipe::{End, Geometry, JoinError, Phase, Pipe, PipeError, Producer, Side, pipes, remove_dead};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::Duration;

    /// A directory that is removed with everything in it.
    struct Place(PathBuf);

    type Change = fn(&Path, &Path);

    impl Place {
        fn new(mode: u32) -> Self {
            let path = std::env::temp_dir().join(format!("blockpipe-{}", Name::new().hex()));
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Self(path)
        }

        fn files(&self) -> Vec<PathBuf> {
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect()
        }

        fn pipe(&self, name: &Name) -> Pipe {
            Pipe::named(name.bytes()).in_directory(&self.0)
        }

        fn join(&self, name: &Name) -> String {
            format!("join {} dir {}", name.hex(), self.0.display())
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn producer(pipe: &Pipe) -> Producer {
        let End::Producer(mut producer) = pipe.join().unwrap() else {
            panic!("a new pipe has no predecessor")
        };
        producer.ready(Geometry::new(4096, 2), &[7; 128]).unwrap();
        producer
    }

    #[test]
    fn a_pair_in_a_directory_knows_its_users_and_cleans_up() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        let pipe = place.pipe(&name);
        assert!(pipe.inspect().unwrap().is_none() && pipes(Some(place.0.as_os_str())).unwrap().is_empty());

        let mut producer = producer(&pipe);
        let lonely = pipe.inspect().unwrap().unwrap();
        assert_eq!(
            (lonely.phase, lonely.users, lonely.origin),
            (Phase::Alone, [Some(me()), None], Some([7; 128]))
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
            consumer.begin(&[8; 128], blockpipe::ResumePoint::default()).unwrap();
            let mut producer = starting.join().unwrap().unwrap();
            assert_eq!(producer.peer_user().unwrap(), Some(me()));
            let mut block = producer.empty_block().unwrap();
            block.copy_from(b"a word and a half");
            block.send(17, 0);
            let all = pipes(Some(place.0.as_os_str())).unwrap();
            let [Ok(moving)] = &all[..] else { panic!("{all:?}") };
            assert_eq!((moving.phase, moving.users, moving.sent), (Phase::Moving, [Some(me()); 2], 17));
            assert_eq!((&moving.name[..], moving.waits, moving.is_dead()), (name.bytes(), None, false));
            assert!(
                matches!(pipe.join(), Err(JoinError::TooManyInstances(there)) if there.users == [Some(me()); 2])
            );

            let sending = scope.spawn(move || producer.close(&[0; 32]));
            let (block, mut copy) = (consumer.filled_block().unwrap().unwrap(), [0; 17]);
            block.copy_to(0, &mut copy);
            let mut end = [0; 4];
            block.copy_to(8, &mut end);
            assert_eq!(&end, b"nd a");
            assert_eq!(&copy, b"a word and a half");
            block.release(0);
            assert!(consumer.filled_block().unwrap().is_none());
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

    #[test]
    fn a_directory_open_to_everybody_is_refused() {
        let (open, name) = (Place::new(0o777), Name::new());
        let refused = open.pipe(&name).join().unwrap_err().to_string();
        assert!(refused.contains("any user may write in this directory"), "{refused}");
        let sticky = Place::new(0o3770).pipe(&name).join().unwrap_err().to_string();
        assert!(sticky.contains("sticky bit: chmod -t"), "{sticky}");
        let missing = Pipe::named("x").in_directory(open.0.join("nowhere")).join().unwrap_err();
        assert!(matches!(missing, JoinError::Io { .. }), "{missing}");
        let place = Place::new(0o2770);
        let _producer = producer(&place.pipe(&name));
        fs::set_permissions(place.0.join(format!("{:032x}", name.key())), Permissions::from_mode(0o666))
            .unwrap();
        assert!(matches!(
            place.pipe(&name).join(),
            Err(JoinError::Foreign { what: "any user may open it", .. })
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
            assert!(matches!(consumer.peer_user(), Err(PipeError::Io { .. })), "{what}");
        }
    }

    /// Checks that a card is worth nothing once its process is gone, and at no other pipe.
    #[test]
    fn the_card_of_a_dead_process_proves_nothing() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        let (pipe, saved) = (place.0.join(format!("{:032x}", name.key())), place.0.join("saved"));
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
        assert!(matches!(consumer.peer_user(), Err(PipeError::Io { .. })));
        let _ = producer.ready(Geometry::new(4096, 1), &[0; 128]);
    }

    #[test]
    fn the_card_of_a_process_at_another_pipe_proves_nothing() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o2770), Name::new());
        let pipe = place.0.join(format!("{:032x}", name.key()));
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
        assert!(matches!(consumer.peer_user(), Err(PipeError::Io { .. })));
        fs::remove_file(pipe.with_extension("moved")).unwrap();
    }

    #[test(needs = [root])]
    fn two_users_meet_and_know_each_other() {
        let _watchdog = Watchdog::new(60);
        let (group, backup, store) = (20_000, 20_001, 20_002);
        // Without the set-group-ID bit: new files belong to the group all the same.
        let (place, tools, name) = (Place::new(0o770), Place::new(0o755), Name::new());
        chown(&place.0, Some(0), Some(group)).unwrap();
        let program = tools.0.join("actor");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let as_user = |user| {
            let mut command = Command::new("setpriv");
            let [user, own] = [format!("--reuid={user}"), format!("--regid={user}")];
            command.args([&user, &own, &format!("--groups={group}")]).arg(&program).current_dir("/");
            Actor::start_through(command)
        };
        let (mut producer, mut consumer) = (as_user(backup), as_user(store));
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
        let mut stranger = Command::new(&program);
        stranger.uid(20_003).gid(20_003).current_dir("/");
        Actor::start_through(stranger).expect_refusal(&place.join(&name), "PermissionDenied");
    }
}
