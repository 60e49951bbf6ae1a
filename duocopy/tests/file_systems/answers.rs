//! The expected results of each file system, and the table of the manual.

use super::kinds::KINDS;
use super::operations::{NOT_APPLICABLE, YES};
use std::fs;
use std::path::{Path, PathBuf};

/// The results that are usual and are not [`YES`], by operation.
const USUAL: &[(&str, &str)] = &[("read-only", "6"), ("full", "7"), ("close error", NOT_APPLICABLE)];

/// The results of one file system that differ from the usual ones, by operation.
const OTHERS: &[(&str, &[(&str, &str)])] = &[
    (
        "ext4, inodes of 128 bytes",
        &[("`-p`", "3 (timestamps)"), ("times", "3 (fractions, after 2038, after 2107)")],
    ),
    ("tmpfs", &[("`--verify=reread`", "yes, with a note"), ("`--direct`", "yes, with a note")]),
    (
        "squashfs, as the source",
        &[("ACL", NOT_APPLICABLE), ("`--direct`", "yes, with a note"), ("full", NOT_APPLICABLE)],
    ),
    ("fuse-overlayfs", &[("long name", "6")]),
    (
        "NTFS-3G",
        &[
            ("`-p`", "3 (ownership, mode, timestamps)"),
            ("ACL", "3"),
            ("resume", "from the beginning"),
            ("odd name", "6 (not UTF-8)"),
            ("times", "3 (fractions)"),
        ],
    ),
    (
        "NTFS-3G, `permissions,acl`",
        &[("`-p`", "3 (timestamps)"), ("odd name", "6 (not UTF-8)"), ("times", "3 (fractions)")],
    ),
    (
        "exfat-fuse",
        &[
            ("`-n`", "yes, with a note"),
            ("`-p`", "3 (ownership, mode, timestamps)"),
            ("ACL", "3"),
            ("xattr", "3"),
            ("`--sparse=auto`", "zeros"),
            ("`--sparse=always`", "zeros"),
            ("resume", "from the beginning"),
            ("odd name", "6 (line breaks, punctuation, not UTF-8)"),
            ("`--backup`", "12"),
            ("times", "3 (fractions)"),
        ],
    ),
    (
        "sshfs",
        &[
            ("`-p`", "3 (timestamps)"),
            ("ACL", "3"),
            ("xattr", "3"),
            ("full", "6"),
            ("times", "3 (fractions, before 1970, after 2107)"),
        ],
    ),
    (
        "rclone mount, `--vfs-cache-mode=writes`",
        &[
            ("replace", "yes, with a note"),
            ("`-n`", "yes, with a note"),
            ("`-u`", "yes, with a note"),
            ("`-p`", "3 (ownership, mode, timestamps)"),
            ("ACL", "3"),
            ("xattr", "3"),
            ("`--sparse=auto`", "zeros"),
            ("`--sparse=always`", "zeros"),
            ("resume", "from the beginning"),
            ("`--backup`", "6"),
            ("full", "yes, with a note"),
        ],
    ),
    (
        "rclone mount",
        &[
            ("replace", "yes, with a note"),
            ("`-n`", "yes, with a note"),
            ("`-u`", "yes, with a note"),
            ("`-p`", "3 (ownership, mode, timestamps)"),
            ("ACL", "3"),
            ("xattr", "3"),
            ("`--sparse=auto`", "zeros"),
            ("`--sparse=always`", "zeros"),
            ("resume", "from the beginning"),
            ("`--backup`", "6"),
            ("full", "6"),
        ],
    ),
    (
        "the FUSE file system of these tests",
        &[
            ("ACL", "3"),
            ("xattr", "3"),
            ("full", NOT_APPLICABLE),
            ("close error", "7"),
            ("times", "3 (before 1970)"),
        ],
    ),
];

fn others(name: &str) -> &'static [(&'static str, &'static str)] {
    OTHERS.iter().find(|(of, _)| *of == name).map_or(&[], |(_, answers)| answers)
}

/// Returns the expected result of this operation on this file system.
pub fn expected(name: &str, operation: &str) -> &'static str {
    let all = || others(name).iter().chain(USUAL);
    all().find(|(of, _)| *of == operation).map_or(YES, |(_, answer)| answer)
}

fn manual() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/platforms.md")
}

/// Returns the rows of the table: for each file system, the results that differ from the usual ones.
fn rows() -> String {
    let row = |name: &str| {
        let answers = others(name).iter().filter(|(_, answer)| *answer != NOT_APPLICABLE);
        let answers: Vec<_> = answers.map(|(operation, answer)| format!("{operation}: {answer}")).collect();
        let answers = if answers.is_empty() { "as usual".into() } else { answers.join("; ") };
        format!("| {name} | {answers} |\n")
    };
    KINDS.iter().map(|kind| row(kind.name)).collect()
}

#[test(needs = [manual])]
fn the_manual_has_this_table() {
    const HEAD: &str = "| file system | answers that differ |\n|---|---|\n";
    let text = fs::read_to_string(manual()).unwrap();
    let (before, after) = text.split_once(HEAD).expect("the head of the table");
    let length = after.split_inclusive('\n').take_while(|line| line.starts_with('|')).map(str::len).sum();
    let (written, rest) = after.split_at(length);
    let rows = rows();
    if std::env::var_os("DUOCOPY_GENERATE").is_some() {
        fs::write(manual(), [before, HEAD, &rows, rest].concat()).unwrap();
    } else {
        assert!(written == rows, "write the table again with DUOCOPY_GENERATE=1; it should have:\n{rows}");
    }
}

#[test]
fn each_answer_is_of_an_operation_and_a_file_system() {
    let operations: Vec<_> = super::OPERATIONS.iter().map(|(name, _)| *name).collect();
    for (name, answers) in OTHERS.iter().chain(&[(KINDS[0].name, USUAL)]) {
        assert!(KINDS.iter().any(|kind| kind.name == *name), "{name}");
        for (operation, _) in *answers {
            assert!(operations.contains(operation), "{name}: {operation}");
        }
    }
}
