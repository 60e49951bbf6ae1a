//! Pipes that are files: what else may have their name, what happens when one is removed, and a full file system.

#[cfg(windows)]
#[test(not_on_windows = "pipes are not files there; windows.rs tests the same with objects")]
fn what_files_can_do_to_a_pipe() {}

#[cfg(unix)]
mod unix {
    use crate::util::{
        Actor, Name, Watchdog, directory, finish, in_own_mounts, in_the_mounts_of, is_refused, until,
    };
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

    #[test]
    fn a_pipe_without_holders_is_removed_whatever_its_version() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();
        let mut producer = Actor::start();
        fs::write(name.place(), [&[0; 8][..], &[42; 8192]].concat()).unwrap();
        fs::set_permissions(name.path(), Permissions::from_mode(0o600)).unwrap();
        producer.joins(&name, "producer");
        producer
            .expect("abort 1 x", "Err(Aborted { by: Producer, reason: Reason { code: 1, message: \"\" } })");
        name.assert_gone();
    }

    #[test]
    fn what_is_not_a_pipe_is_left_alone() {
        let _watchdog = Watchdog::new(60);
        let mut actor = Actor::start();
        let mut is_foreign = |name: &Name, what: &str| {
            let answer = is_refused(&mut actor, &format!("join {}", name.hex()), "Foreign {");
            assert!(answer.contains(what) && answer.contains(name.path().to_str().unwrap()), "{answer}");
        };

        for (content, what) in [(&b"precious"[..], "shorter than a pipe"), (&[b'p'; 9000][..], "not a pipe")]
        {
            let name = Name::new();
            fs::write(name.place(), content).unwrap();
            fs::set_permissions(name.path(), Permissions::from_mode(0o600)).unwrap();
            is_foreign(&name, what);
            assert_eq!(fs::read(name.path()).unwrap(), content);
            fs::remove_file(name.path()).unwrap();
        }

        let name = Name::new();
        fs::write(name.place(), b"").unwrap();
        fs::set_permissions(name.path(), Permissions::from_mode(0o644)).unwrap();
        is_foreign(&name, "other users may open it");
        let left = fs::metadata(name.path()).unwrap();
        assert_eq!((left.len(), left.permissions().mode() & 0o777), (0, 0o644));
        // With a second link, it belongs to somebody.
        fs::set_permissions(name.path(), Permissions::from_mode(0o600)).unwrap();
        let second_name = Name::new();
        fs::hard_link(name.path(), second_name.place()).unwrap();
        is_foreign(&name, "has a second hard link");
        assert_eq!(fs::metadata(name.path()).unwrap().len(), 0);

        let link = Name::new();
        fs::remove_file(second_name.path()).unwrap();
        symlink(name.path(), link.place()).unwrap();
        is_foreign(&link, "not a regular file");
        assert_eq!(fs::read_link(link.path()).unwrap(), name.path());
        assert_eq!(fs::metadata(name.path()).unwrap().len(), 0);
        fs::remove_file(link.path()).unwrap();
        fs::remove_file(name.path()).unwrap();

        fs::create_dir(name.place()).unwrap();
        is_foreign(&name, "not a regular file");
        fs::remove_dir(name.path()).unwrap();

        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, name.place(), fifo, mode, 0).unwrap();
        is_foreign(&name, "not a regular file");
        assert!(fs::symlink_metadata(name.path()).unwrap().file_type().is_fifo());
        fs::remove_file(name.path()).unwrap();
    }

    #[test]
    fn a_newcomer_restarts_if_the_pipe_that_it_opened_was_removed() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();
        let gate = name.locked_gate();
        let mut newcomer = Actor::start();
        newcomer.tell(&format!("join {}", name.hex()));
        until("the newcomer has opened the pipe", || newcomer.has_opened(&name));
        fs::remove_file(name.path()).unwrap();
        newcomer.expect_silence(100);
        drop(gate);
        newcomer.expect_answer("producer");
        // It has joined a new one, where others find it.
        let mut peer = Actor::start();
        newcomer.expect("ready 4096 2", "Ok(())");
        peer.joins(&name, "consumer");
        finish(&name, &mut newcomer, &mut peer, 5000);
    }

    const LITTLE_MEMORY: &str = "mount -t tmpfs -o size=256k,mode=1777 tmpfs /dev/shm";

    #[test(needs = [own_mounts])]
    fn a_full_file_system_is_an_error_and_not_a_crash() {
        let _watchdog = Watchdog::new(60);
        let name = Name::new();

        let mut producer = Actor::start_through(in_own_mounts(LITTLE_MEMORY));
        producer.joins(&name, "producer");
        for _ in 0..2 {
            let answer = producer.ask(&format!("ready {} 8", 1 << 20));
            assert!(answer.starts_with("Err(CallFailed {") && answer.contains("StorageFull"), "{answer}");
        }
        producer.expect("ready 4096 16", "Ok(())");
        let mut consumer = Actor::start_through(in_the_mounts_of(&producer));
        consumer.joins(&name, "consumer");
        finish(&name, &mut producer, &mut consumer, 200_000);

        // Not even a header fits.
        let full = format!("{LITTLE_MEMORY}; ! head -c 1M /dev/zero > /dev/shm/full 2> /dev/null");
        let mut producer = Actor::start_through(in_own_mounts(&full));
        let answer = producer.ask(&format!("join {}", name.hex()));
        assert!(answer.starts_with("Io {") && answer.contains("StorageFull"), "{answer}");
        let memory = format!("/proc/{}/root/dev/shm", producer.id());
        assert_eq!(fs::metadata(format!("{memory}/full")).unwrap().len(), 256 << 10);
        let pipes = fs::read_dir(memory + "/" + directory().file_name().unwrap().to_str().unwrap()).unwrap();
        assert_eq!(pipes.count(), 0, "nothing is left over");
    }
}
