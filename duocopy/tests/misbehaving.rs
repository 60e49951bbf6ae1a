//! Destinations on file systems that refuse calls, report errors late, or tell things wrongly.

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
