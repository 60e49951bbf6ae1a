//! Destinations on file systems that refuse calls, report errors late, or tell things wrongly.

use crate::util::fuse::{Call, Errno, Fault::Refuses};
use crate::util::*;

/// A copy to a file system without faults tells whether the file system of these tests is good enough.
#[test(needs = [fuse])]
fn a_file_system_without_faults_takes_a_copy() {
    let folder = Folder::with_source(MIB);
    let _mounted = folder.mount("mounted", &[]);
    for _ in 0..2 {
        folder.duocopy("cp -p src mounted/dst").end().expect(0, &[]);
        folder.assert_same("src", "mounted/dst");
        folder.assert_nothing_left_in("mounted");
    }
}

/// Remote file systems report a full disk or quota only when a file is closed.
#[test(needs = [fuse])]
fn an_error_that_only_close_reports_fails_the_copy() {
    let cases = [(Errno::ENOSPC, 7), (Errno::EDQUOT, 7), (Errno::EIO, 6)];
    for (error, code) in cases {
        let folder = Folder::with_source(MIB);
        let mounted = folder.mount("mounted", &[Refuses(Call::Close, error)]);
        std::fs::write(mounted.behind.join("dst"), OLD).unwrap();
        for flags in ["", "--fsync=none", "--fsync=none --verify=none", "--partial"] {
            let ended = folder.duocopy(&format!("cp {flags} src mounted/dst")).end();
            ended.expect(code, &["cannot write to the destination", &folder.text("mounted/dst")]);
            assert_eq!(folder.read("mounted/dst"), OLD, "{flags}");
            folder.assert_nothing_left_in("mounted");
        }
        let mut write = folder.duocopy(&format!("write --fsync=none - {}", folder.pipe_name()));
        write = write.after("exec > mounted/output");
        for ended in end([folder.read_half("src").start(), write.start()]) {
            ended.expect(code, &[]);
        }
    }
}
