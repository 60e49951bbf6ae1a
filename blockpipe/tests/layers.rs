//! What each file of the sources may know. That `unsafe` stays in three places, and that the library neither prints nor
//! exits, is kept by the lints in `lib.rs`.

use harness::layers::{Rule, Sources};

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

const RULES: &[Rule] = &[
    Rule {
        of: &["ring.rs", "words.rs"],
        except: &[],
        never: &[
            "unsafe",
            "*const",
            "*mut",
            "sys",
            "io::",
            "crate::layout",
            "crate::end",
            "std::sync",
            "std::thread",
        ],
        why: "a model checker drives it: it is the whole protocol, without pointers and without a system",
    },
    Rule {
        of: &["sys/"],
        except: &[],
        never: &["crate::", "super::super::super"],
        why: "a port is written from the contract alone",
    },
    Rule {
        of: &[""],
        // The first reads which step is the last, the second XDG_RUNTIME_DIR.
        except: &["steps.rs", "sys/folder.rs"],
        never: &["std::fs", "std::path", "std::env", "process::Command"],
        why: "a pipe that knows about files cannot be tested without them",
    },
    Rule {
        of: &[""],
        except: &["sys/"],
        never: &[
            "libc",
            "rustix",
            "windows_sys",
            "target_os",
            "target_family",
            "cfg(unix)",
            "cfg(windows)",
            "std::os",
        ],
        why: "what differs between systems is in sys/",
    },
    Rule {
        of: &[""],
        except: &["sys/", "block.rs", "producer.rs", "consumer.rs", "io.rs"],
        never: &["Drop for"],
        why: "nobody hears a `Drop` fail; these unmap memory, put a block back, abort for a block that is held, and send \
              what a stream has left",
    },
    Rule {
        of: &[""],
        except: &["monitor.rs"],
        never: &["SystemTime", "UNIX_EPOCH"],
        why: "a clock that can be set must change nothing",
    },
];

#[test]
fn the_sources_keep_the_rules() {
    let broken = Sources::read(PACKAGE).broken(RULES);
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_file_imports_itself_through_others() {
    assert_eq!(Sources::read(PACKAGE).circle(), None);
}

#[test]
fn no_source_file_is_longer_than_500_lines() {
    assert_eq!(Sources::longer_than(PACKAGE, 500), [""; 0]);
}
