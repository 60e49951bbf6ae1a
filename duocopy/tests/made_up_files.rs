//! Files whose content is generated when it is read, so that their length or times mean nothing.

use crate::util::fuse::Fault;
use crate::util::*;
use std::fs;

/// The kernel generates these files when they are read, and reports a length of 0 or one page.
#[test]
fn a_file_of_unknown_length_is_read_to_its_end() {
    reads_to_the_end("/proc/version");
}

#[test]
fn a_file_whose_length_is_a_page_is_read_to_its_end() {
    reads_to_the_end("/sys/kernel/mm/transparent_hugepage/enabled");
}

/// A poll of a file in `/proc` may never report it as ready, or only once.
#[test(needs = [strace])]
fn a_file_is_read_even_if_it_never_is_ready() {
    let folder = Folder::new();
    let Ok(content) = fs::read("/proc/version") else { harness::ignore("this system has no /proc") };
    let never = "-f -e trace=poll,ppoll -e inject=poll,ppoll:retval=0:when=2+";
    folder.duocopy("cp /proc/version dst").traced(never).end().expect(0, &[]);
    assert!(folder.read("dst") == content);
}

/// The metadata of such a file does not say how much there is to read.
#[test(needs = [fuse])]
fn a_file_whose_length_or_times_are_made_up_is_read_to_its_end() {
    for faults in [
        &[Fault::SizeZero][..],
        &[Fault::Size(1)],
        &[Fault::Size(4096)],
        &[Fault::Size(MIB as u64)],
        &[Fault::PresentTimes],
        &[Fault::PresentTimes, Fault::SizeZero],
    ] {
        for length in [0, 1, 5000, 300 * KIB] {
            let folder = Folder::new();
            let mounted = folder.mount("mounted", faults);
            fs::write(mounted.backing.join("src"), bytes(length, 1)).unwrap();
            let ended = folder.duocopy("cp mounted/src dst").end();
            assert_eq!(ended.code, 0, "{faults:?}, {length} bytes: {ended:?}");
            assert!(folder.read("dst") == bytes(length, 1), "{faults:?}, {length} bytes");
        }
    }
}

#[test(needs = [own_mounts])]
fn a_file_of_unknown_length_may_lie_anywhere() {
    let folder = Folder::new();
    folder.make("mounted");
    let ended = folder.with_own_mounts(
        "mount -t binfmt_misc none mounted || exit 77
        $0 cp mounted/status dst
        cmp mounted/status dst",
    );
    ended.expect(0, &[]);
}

/// A file without content is still a file, whose metadata is preserved.
#[test(needs = [fuse])]
fn an_empty_file_is_no_stream() {
    let folder = Folder::new();
    let _mounted = folder.mount("mounted", &[]);
    for source in ["src", "mounted/src"] {
        folder.write(source, "");
        folder.set_mode(source, 0o640);
        folder.duocopy(&format!("cp -p {source} dst")).end().expect(0, &[]);
        assert_eq!(folder.mode("dst"), 0o640);
    }
}

fn reads_to_the_end(path: &str) {
    let Ok(content) = fs::read(path) else { harness::ignore(format!("this system has no {path}")) };
    let folder = Folder::new();
    folder.duocopy(&format!("cp {path} dst")).end().expect(0, &[]);
    assert_eq!(folder.read("dst"), content, "{path}");
    complete([folder.read_half(path).start(), folder.write_half("--force dst").start()]);
    assert_eq!(folder.read("dst"), content, "{path}");
}
