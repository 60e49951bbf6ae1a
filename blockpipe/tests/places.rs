//! Where two processes meet: directories that any user may write in, file systems, and this user's own directory.

use crate::util::{
    Actor, Name, Place, User, Watchdog, directory, finish, in_own_mounts, in_the_mounts_of, locked_gate,
    pause, until,
};
use blockpipe::{JoinError, remove_dead};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Two users who have no group in common, and are not root.
const ALICE: u32 = 20_001;
const BOB: u32 = 20_002;

fn actor(user: u32) -> Actor {
    User::new(user, user).actor()
}

/// Copies through a directory. The process that comes first creates the pipe's file, and so owns it.
fn copy(place: &Place, name: &Name, first: &mut Actor, second: &mut Actor, consumer_first: bool) {
    let as_role = |role: &str| format!("{} as {role}", place.join(name));
    let (producer, consumer) = if consumer_first {
        first.tell(&as_role("consumer"));
        until("the consumer has a seat", || place.pipe(name).inspect().is_ok_and(|pipe| pipe.is_some()));
        second.expect(&as_role("producer"), "producer");
        second.expect("ready 4096 2", "Ok(())");
        first.expect_answer("consumer");
        (second, first)
    } else {
        first.expect(&as_role("producer"), "producer");
        first.expect("ready 4096 2", "Ok(())");
        second.expect(&as_role("consumer"), "consumer");
        (first, second)
    };
    producer.tell("stream 20000 1");
    consumer.expect("drain 1", "drained 20000");
    consumer.expect("commit", "Ok");
    consumer.expect("complete", "Ok(())");
    producer.expect_answer("Ok(())");
}

/// Checks who may open the files in each kind of directory: exactly those who may write in the directory.
#[test]
fn the_files_are_for_those_who_may_write_in_the_directory() {
    let _watchdog = Watchdog::new(60);
    for (directory, pipe, card) in [
        (0o700, 0o600, 0o400),
        (0o750, 0o600, 0o400),
        (0o2770, 0o660, 0o440),
        (0o3770, 0o660, 0o440),
        (0o777, 0o666, 0o444),
        (0o1777, 0o666, 0o444),
        (0o2777, 0o666, 0o444),
    ] {
        let (place, name) = (Place::new(directory), Name::new());
        let (mut first, mut second) = (Actor::start(), Actor::start());
        first.expect(&place.join(&name), "producer");
        let modes = place.files().into_iter().map(|file| (file.clone(), fs::metadata(file).unwrap().mode()));
        for (file, mode) in modes {
            let expected = if file.to_str().unwrap().ends_with("-user") { card } else { pipe };
            assert_eq!(mode & 0o7777, expected, "{} in {directory:o}", file.display());
        }
        first.expect("leave", "left");
        copy(&place, &name, &mut first, &mut second, false);
        copy(&place, &name, &mut first, &mut second, true);
        assert_eq!(place.files(), Vec::<PathBuf>::new(), "in {directory:o}");
    }
}

#[test(needs = [root])]
fn two_users_meet_where_everybody_may_write() {
    let _watchdog = Watchdog::new(60);
    let (mut alice, mut bob) = (actor(ALICE), actor(BOB));
    for mode in [0o777, 0o1777, 0o2777] {
        let (place, name) = (Place::new(mode), Name::new());
        for consumer_first in [false, true] {
            copy(&place, &name, &mut alice, &mut bob, consumer_first);
            assert_eq!(
                place.files(),
                Vec::<PathBuf>::new(),
                "{mode:o}, the consumer first: {consumer_first}"
            );
            copy(&place, &name, &mut bob, &mut alice, consumer_first);
            assert_eq!(
                place.files(),
                Vec::<PathBuf>::new(),
                "{mode:o}, the consumer first: {consumer_first}"
            );
        }
    }
}

/// Checks that what one user's killed processes left in a sticky directory is reported to another user by path, and
/// removed by its owner.
#[test(needs = [root])]
fn in_a_sticky_directory_each_user_removes_its_own() {
    let _watchdog = Watchdog::new(60);
    let (place, name, other) = (Place::new(0o1777), Name::new(), Name::new());
    let (mut first, mut second) = (actor(ALICE), actor(ALICE));
    let kill_a_pair = |name: &Name| {
        let (mut producer, mut consumer) = (actor(ALICE), actor(ALICE));
        producer.expect(&place.join(name), "producer");
        producer.expect("ready 4096 2", "Ok(())");
        consumer.expect(&place.join(name), "consumer");
        producer.kill();
        consumer.kill();
    };
    kill_a_pair(&name);
    let mut bob = actor(BOB);
    let refused = bob.ask(&place.join(&name));
    let remedy =
        "belongs to another user, and the directory has the sticky bit; only that user or root can remove it";
    assert!(refused.contains(place.file(&name).to_str().unwrap()) && refused.contains(remedy), "{refused}");
    // The owner can join without help, and then processes of any user can come first.
    copy(&place, &name, &mut first, &mut second, false);
    copy(&place, &name, &mut bob, &mut second, true);
    assert_eq!(place.files(), Vec::<PathBuf>::new());

    // A new pipe of another user leaves it alone, one of its owner removes it.
    kill_a_pair(&name);
    bob.expect(&place.join(&other), "producer");
    bob.ask("abort 1 x");
    assert!(place.file(&name).exists());
    first.expect(&place.join(&other), "producer");
    first.ask("abort 1 x");
    assert_eq!(place.files(), Vec::<PathBuf>::new());

    // Root may remove everything, so two containers whose processes are root need nothing else.
    kill_a_pair(&name);
    assert_eq!(remove_dead(Some(place.0.as_os_str())).unwrap().len(), 1);
    assert_eq!(place.files(), Vec::<PathBuf>::new());

    // The card of a killed process, beside a pipe whose file is gone.
    kill_a_pair(&name);
    fs::remove_file(place.file(&name)).unwrap();
    let refused = bob.ask(&place.join(&name));
    let what = "a file of another user has the name of a user card";
    assert!(refused.contains("-producer-user") && refused.contains(what), "{refused}");
    assert!(!place.file(&name).exists(), "nothing is left over");
}

/// Checks what another user can put in the place of a pipe, in a directory in which everybody may write.
#[test]
fn what_others_put_into_an_open_directory_is_left_alone() {
    let _watchdog = Watchdog::new(60);
    let place = Place::new(0o777);
    let precious = place.0.join("precious");
    fs::write(&precious, "").unwrap();
    fs::set_permissions(&precious, fs::Permissions::from_mode(0o666)).unwrap();
    let is_foreign = |name: &Name, what: &str| match place.pipe(name).join() {
        Err(JoinError::Foreign { path, what: because }) => {
            assert_eq!((path.as_str(), because), (place.file(name).to_str().unwrap(), what));
        }
        other => panic!("{other:?}"),
    };

    let name = Name::new();
    symlink(&precious, place.file(&name)).unwrap();
    is_foreign(&name, "not a regular file");
    fs::remove_file(place.file(&name)).unwrap();
    fs::hard_link(&precious, place.file(&name)).unwrap();
    is_foreign(&name, "has a second hard link");
    fs::remove_file(place.file(&name)).unwrap();
    // This is not the first name of a pipe whose maker was killed before it could remove it.
    fs::hard_link(&precious, place.file(&name)).unwrap();
    let first = first_name(&place, &name);
    fs::write(&first, "").unwrap();
    is_foreign(&name, "has a second hard link");
    fs::remove_file(place.file(&name)).unwrap();
    assert!(first.exists() && precious.exists());
    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o666));
    rustix::fs::mknodat(rustix::fs::CWD, place.file(&name), fifo, mode, 0).unwrap();
    is_foreign(&name, "not a regular file");
    fs::remove_file(place.file(&name)).unwrap();
    fs::write(place.file(&name), "precious").unwrap();
    fs::set_permissions(place.file(&name), fs::Permissions::from_mode(0o666)).unwrap();
    is_foreign(&name, "shorter than a pipe");
    assert_eq!(fs::metadata(&precious).unwrap().len(), 0);
}

/// Returns a name that a new pipe could have before its final one.
fn first_name(place: &Place, name: &Name) -> PathBuf {
    let mut path = place.file(name).into_os_string();
    path.push("-new-0123456789abcdef");
    path.into()
}

/// Where no call renames without replacing, a new pipe has two names for a moment. Checks that a kill at that moment,
/// of a process of any user of the directory, blocks nobody.
#[test]
fn a_pipe_whose_maker_did_not_live_to_remove_its_first_name_is_used() {
    let _watchdog = Watchdog::new(60);
    for mode in [0o700, 0o2770, 0o777] {
        let (place, name) = (Place::new(mode), Name::new());
        let first = first_name(&place, &name);
        fs::write(&first, "").unwrap();
        fs::set_permissions(&first, fs::Permissions::from_mode(mode & 0o666)).unwrap();
        fs::hard_link(&first, place.file(&name)).unwrap();
        drop(place.pipe(&name).join().expect("the pipe is as good as new"));
        assert!(!first.exists(), "{mode:o}");
    }
}

/// Checks that a process that has opened a pipe notices when somebody renames it, and restarts: otherwise it would wait
/// where nobody comes.
#[test]
fn a_newcomer_restarts_if_the_pipe_that_it_opened_was_renamed() {
    let _watchdog = Watchdog::new(60);
    let (place, name) = (Place::new(0o777), Name::new());
    let mut stopped = Actor::start();
    // A process that has died, so that the pipe's file exists.
    stopped.expect(&place.join(&name), "producer");
    stopped.kill();
    let gate = locked_gate(&place.file(&name));
    let mut newcomer = Actor::start();
    newcomer.tell(&place.join(&name));
    until("the newcomer has opened the pipe", || newcomer.has_opened_file(&place.file(&name)));
    fs::rename(place.file(&name), place.0.join("renamed")).unwrap();
    drop(gate);
    newcomer.expect_answer("producer");
    newcomer.expect("ready 4096 2", "Ok(())");
    let mut peer = Actor::start();
    peer.expect(&place.join(&name), "consumer");
}

/// Makes this user's usual directory unusable, in a mount namespace: each script for another reason.
fn unusable() -> [(&'static str, String); 4] {
    let own = directory().display().to_string();
    let memory = "mount -t tmpfs tmpfs /dev/shm";
    [
        ("missing", "mount -t tmpfs tmpfs /dev".into()),
        ("read-only", format!("{memory}; mount -o remount,ro /dev/shm")),
        ("read-only", format!("{memory}; mkdir -m 700 {own}; mount -o remount,ro /dev/shm")),
        ("of another user", format!("{memory}; mkdir -m 700 {own}; chown 20001 {own}")),
    ]
}

#[test(needs = [root, own_mounts])]
fn without_shared_memory_two_processes_meet_in_the_runtime_directory() {
    let _watchdog = Watchdog::new(60);
    let start = |mut command: Command, runtime: &Path| {
        command.env("XDG_RUNTIME_DIR", runtime);
        Actor::start_through(command)
    };
    for (why, script) in unusable() {
        let (runtime, name) = (Place::new(0o700), Name::new());
        let own = runtime.0.join(directory().file_name().unwrap());
        let mut first = start(in_own_mounts(&script), &runtime.0);
        first.expect("directory", own.to_str().unwrap());
        assert!(!own.exists(), "asking creates nothing");
        first.joins(&name, "producer");
        first.expect("ready 4096 2", "Ok(())");
        assert!(own.join(name.path().file_name().unwrap()).exists(), "{why}");
        let mut second = start(in_the_mounts_of(&first), &runtime.0);
        second.expect("directory", own.to_str().unwrap());
        second.joins(&name, "consumer");
        finish(&name, &mut first, &mut second, 20_000);
        assert_eq!(fs::read_dir(&own).unwrap().count(), 0);

        // A process without a runtime directory, or with one that other users could use, must not wait where the
        // other one will not come.
        let open = Place::new(0o777);
        let foreign = Place::new(0o700);
        chown(&foreign.0, Some(ALICE), None).unwrap();
        for unsuitable in [Path::new(""), Path::new("relative"), &open.0, &foreign.0] {
            let mut lonely = start(in_the_mounts_of(&first), unsuitable);
            lonely.expect("directory", directory().to_str().unwrap());
            lonely.expect_refusal(&format!("join {}", name.hex()), directory().to_str().unwrap());
        }
    }
}

/// Checks that the variable changes nothing where the usual directory can be used: not all processes have it.
#[test]
fn the_runtime_directory_is_only_a_fallback() {
    let _watchdog = Watchdog::new(60);
    let (runtime, name, place) = (Place::new(0o700), Name::new(), Place::new(0o700));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env("XDG_RUNTIME_DIR", &runtime.0);
    let mut first = Actor::start_through(command);
    first.expect("directory", directory().to_str().unwrap());
    first.expect(&format!("directory dir {}", place.0.display()), place.0.to_str().unwrap());
    first.joins(&name, "producer");
    assert!(name.exists() && runtime.files().is_empty());
}

/// Checks the shared memory of a container: Docker gives it 64 MiB, and some platforms less.
#[test(needs = [own_mounts])]
fn what_does_not_fit_into_a_container_is_reported_in_bytes() {
    const MIB: u64 = 1 << 20;
    let _watchdog = Watchdog::new(60);
    for (memory, fits, too_much) in [(64 * MIB, 8, 16), (16 * MIB, 3, 4)] {
        let name = Name::new();
        let mount = format!("mount -t tmpfs -o size={memory},mode=1777 tmpfs /dev/shm");
        let mut producer = Actor::start_through(in_own_mounts(&mount));
        producer.joins(&name, "producer");
        let error = producer.ask(&format!("ready {} {too_much}", 4 * MIB));
        let needed =
            format!("{}: no space for {} bytes (", directory().display(), too_much * 4 * MIB + 65_536);
        let (_, free) = error.split_once(&needed).unwrap_or_else(|| panic!("`{needed}` is not in {error}"));
        let free: u64 = free.split_once(" free)").expect("a number").0.parse().expect("a number");
        assert!((memory - 64 * 1024..memory).contains(&free), "{error}");
        producer.expect(&format!("ready {} {fits}", 4 * MIB), "Ok(())");
        let mut consumer = Actor::start_through(in_the_mounts_of(&producer));
        consumer.joins(&name, "consumer");
        // Every block is used once.
        finish(&name, &mut producer, &mut consumer, fits * 4 * MIB);
    }
}

/// Starts a process that waits for a peer, and removes its pipe: logind does so when a user's last session ends
/// (`RemoveIPC`).
fn removed_while_it_waits(name: &Name, role: &str, then: &[(&str, &str)]) -> Actor {
    let mut waits = Actor::start_through(in_own_mounts("mount -t tmpfs tmpfs /dev/shm"));
    let own = format!("/proc/{}/root{}", waits.id(), directory().display());
    waits.tell(&format!("join {} as {role}", name.hex()));
    for (command, answer) in then {
        waits.expect_answer(answer);
        waits.tell(command);
    }
    until("it waits", || fs::read_dir(&own).is_ok_and(|files| files.count() > 0));
    pause(200);
    for file in fs::read_dir(&own).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    // The process may have made its pipe again already.
    let _ = fs::remove_dir(&own);
    waits
}

#[test(needs = [root, own_mounts])]
fn a_consumer_whose_pipe_was_removed_makes_it_again() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let mut waits = removed_while_it_waits(&name, "consumer", &[]);
    let own = format!("/proc/{}/root{}", waits.id(), directory().display());
    until("it is there again", || fs::read_dir(&own).is_ok_and(|files| files.count() > 0));
    let mut producer = Actor::start_through(in_the_mounts_of(&waits));
    producer.joins(&name, "producer");
    producer.expect("ready 4096 2", "Ok(())");
    waits.expect_answer("consumer");
}

/// It may hold blocks in the memory that lost its name, so it cannot make the pipe again by itself.
#[test(needs = [root, own_mounts])]
fn a_producer_whose_pipe_was_removed_fails_with_its_name() {
    let _watchdog = Watchdog::new(60);
    let name = Name::new();
    let then = [("ready 4096 2", "producer"), ("start", "Ok(())")];
    let mut waits = removed_while_it_waits(&name, "producer", &then);
    let error = waits.answer();
    assert!(error.contains(directory().to_str().unwrap()) && error.contains("removed"), "{error}");
    waits.tell(&format!("join {} as producer", name.hex()));
    waits.expect_answer("producer");
}

#[cfg(target_os = "linux")]
mod network {
    use crate::util::{Name, Place, Watchdog};
    use blockpipe::JoinError;
    use std::ffi::CString;
    use std::fs;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;
    use std::ptr::null;

    /// Serves a file system with one empty directory on a place in the mount namespace of this thread, which is a new one.
    fn mount_fuse(place: &Place) {
        const GETATTR: u32 = 3;
        const STATFS: u32 = 17;
        const INIT: u32 = 26;
        const NO_REPLY: [u32; 2] = [2, 42];
        let device = fs::File::options().read(true).write(true).open("/dev/fuse").unwrap();
        let options = format!("fd={},rootmode=40777,user_id=0,group_id=0", device.as_raw_fd());
        let (target, options) =
            (CString::new(place.0.to_str().unwrap()).unwrap(), CString::new(options).unwrap());
        // SAFETY: all texts end with a zero and outlive the calls.
        unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0);
            let private = libc::MS_REC | libc::MS_PRIVATE;
            assert_eq!(libc::mount(null(), c"/".as_ptr(), null(), private, null()), 0);
            let fuse = c"fuse".as_ptr();
            let mounted = libc::mount(fuse, target.as_ptr(), fuse, 0, options.as_ptr().cast());
            assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
        }
        std::thread::spawn(move || {
            let mut request = vec![0; 1 << 20];
            // Ends when the file system is unmounted.
            while (&device).read(&mut request).is_ok_and(|length| length >= 40) {
                let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
                let (error, answer) = match word(4) {
                    INIT => (0, [7, 31].into_iter().chain([0; 14]).collect()),
                    // Valid for an hour; a directory with all rights and two links.
                    GETATTR => {
                        let mut answer = vec![0; 26];
                        (answer[0], answer[4], answer[19], answer[20]) = (3600, 1, 0o040_777, 2);
                        (0, answer)
                    }
                    STATFS => (0, vec![0; 20]),
                    operation if NO_REPLY.contains(&operation) => continue,
                    _ => (-libc::ENOSYS, Vec::<u32>::new()),
                };
                let header = [16 + 4 * answer.len() as u32, error.cast_unsigned(), word(8), word(12)];
                let reply: Vec<u8> = header.into_iter().chain(answer).flat_map(u32::to_ne_bytes).collect();
                (&device).write_all(&reply).unwrap();
            }
        });
    }

    #[test(needs = [root, own_mounts, fuse])]
    fn a_directory_that_other_machines_may_see_is_refused() {
        let _watchdog = Watchdog::new(60);
        let (place, name) = (Place::new(0o777), Name::new());
        mount_fuse(&place);
        let refused = [place.pipe(&name).join().unwrap_err(), place.pipe(&name).inspect().unwrap_err()];
        let target = CString::new(place.0.to_str().unwrap()).unwrap();
        // SAFETY: the text ends with a zero and outlives the call.
        assert_eq!(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }, 0);
        for error in refused {
            let said = error.to_string();
            assert!(matches!(error, JoinError::Foreign { .. }), "{error:?}");
            assert!(
                said.contains(place.0.to_str().unwrap()) && said.contains("such as one in /dev/shm"),
                "{said}"
            );
        }
        // An overlay belongs to this machine alone.
        let layers = Place::new(0o700);
        for directory in ["lower", "upper", "work"] {
            fs::create_dir(layers.0.join(directory)).unwrap();
        }
        let all = ["lowerdir=", "upperdir=", "workdir="].into_iter().zip(["lower", "upper", "work"]);
        let options =
            all.map(|(option, directory)| format!("{option}{}", layers.0.join(directory).display()));
        let options = CString::new(options.collect::<Vec<_>>().join(",")).unwrap();
        let overlay = c"overlay".as_ptr();
        // SAFETY: as above.
        unsafe {
            assert_eq!(libc::mount(overlay, target.as_ptr(), overlay, 0, options.as_ptr().cast()), 0);
            drop(place.pipe(&name).join().unwrap());
            assert_eq!(libc::umount2(target.as_ptr(), libc::MNT_DETACH), 0);
        }
    }
}
