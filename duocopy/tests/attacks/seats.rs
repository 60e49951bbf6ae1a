//! A third user takes the seat of a half that has died. Everybody who can enter the directory of the pipe can write to
//! its header and take a free seat, but that does not make a process the peer.
//!
//! The tests run as root, so this process is the third user, and the halves run as others.

use super::claims::{get, pipe_in, set};
use crate::parties::{BACKUP, GROUP, reader, two_parties, writer};
use crate::util::pipe_header::*;
use crate::util::*;
use std::fs::File;
use std::os::unix::fs::FileExt;

const THIRD: u32 = 20_003;

fn until_written(folder: &Folder, half: &Process) -> File {
    until("a part has been written", || {
        assert!(half.ended().is_none(), "{}", half.messages());
        let memory = pipe_in(folder)?;
        (get(&memory, EMPTIED) > 1).then_some(memory)
    })
}

/// The Reader dies, and another user ends its stream after the blocks that it has sent, with the right checksum.
#[test(needs = [root])]
fn nobody_else_ends_the_stream_of_a_dead_reader() {
    for flags in ["", "--peer-user=20001", "--replace-within=300ms"] {
        let folder = two_parties();
        let dies = reader(&folder, "--bwlimit=700K --block-size=64K").start();
        let writer = writer(&folder, flags).start();
        let memory = until_written(&folder, &writer);
        writer.signal(Signal::STOP);
        dies.kill();
        let filled = get(&memory, FILLED);
        let mut reached = [0; 16];
        memory.read_exact_at(&mut reached, READER_RESUME_POINTS + 32 * (filled % 2)).expect("the last point");
        memory.write_all_at(&reached, TRAILER).expect("ours");
        set(&memory, CLOSED, filled + 1);
        writer.signal(Signal::CONT);
        let ended = writer.end();
        assert!(ended.code != 0 && ended.messages.contains("died"), "{flags}: {ended:?}");
        assert!(!folder.is_there("store/dst"), "{flags}: {ended:?}");
    }
}

/// Two users have the same number in a user namespace that does not know them.
#[test(needs = [root, user_namespaces])]
fn an_unknown_user_does_not_replace_another_unknown_user() {
    let folder = two_parties();
    // The third user may read the source, too, and so can stand in for its Reader.
    folder.set_mode("backup", 0o711);
    std::os::unix::fs::chown(folder.path("backup/src"), Some(BACKUP), Some(GROUP)).expect("root may");
    folder.set_mode("backup/src", 0o640);
    let dies = reader(&folder, "--bwlimit=700K --block-size=64K --replace-within=20s").start();
    let writer = writer(&folder, "--replace-within=20s").inside("unshare --user --map-root-user").start();
    until_written(&folder, &writer);
    dies.kill();
    let line = "read --dir=meet --wait=20s --replace-within=20s backup/src nightly";
    let stranger = folder.duocopy(line).by_user(THIRD, GROUP).start();
    let ended = writer.end();
    assert!(ended.code != 0 && ended.messages.contains("died"), "{ended:?}");
    assert!(!folder.is_there("store/dst"), "{ended:?}");
    assert_ne!(stranger.end().code, 0);
}

fn in_namespace(namespace: bool, half: Run<'_>) -> Run<'_> {
    if namespace { half.inside("unshare --user --map-root-user") } else { half }
}

/// A partial copy that belongs to an unknown user is resumed for nobody, not even for the same user.
#[test(needs = [root, user_namespaces])]
fn nobody_resumes_the_copy_of_an_unknown_user() {
    for inside in [true, false] {
        let folder = two_parties();
        let killed =
            [reader(&folder, "--bwlimit=700K"), in_namespace(inside, writer(&folder, ""))].map(Run::start);
        until("a checkpoint", || folder.has_checkpoint_in("store").then_some(()));
        for half in killed {
            half.kill();
            half.end();
        }
        let halves = [reader(&folder, ""), in_namespace(inside, writer(&folder, "-v"))].map(Run::start);
        let [reader, writer] = halves.map(Process::end);
        reader.expect(0, &[]);
        assert_eq!(writer.messages.contains("resum"), !inside, "{writer:?}");
        assert_eq!(writer.code, 0, "{writer:?}");
        folder.assert_same("backup/src", "store/dst");
    }
}
