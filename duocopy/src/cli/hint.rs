//! The command that starts the other process, for messages.

use super::values::{BACKUP, Choices, DIRECT, FSYNC, HASH, PRESERVE, Preserving, SPARSE, UPDATE, name_of};
use duocopy::{Backup, Fsync, Hash, Overwrite, Request, Role, Sparse, Verify};
use std::ffi::OsStr;
use std::path::Path;

/// Returns the command that starts the process in the `other` role, ready to be pasted into a shell.
pub fn command(request: &Request, other: Role) -> String {
    // The command may be run in another directory, unless this one has no path.
    let absolute = |path: Option<&Path>| {
        path.map(|path| Some(duocopy::absolute(path)).filter(|it| it.is_absolute()).unwrap_or(path.into()))
    };
    let (source, destination) = request.paths();
    let mut words: Vec<Vec<u8>> = vec![b"duocopy".into()];
    if request.is_half() {
        words.push(if other == Role::Reader { b"read".into() } else { b"write".into() });
    }
    let dir = absolute(request.dir.as_deref());
    words.extend(dir.map(|dir| [b"--dir=", dir.as_os_str().as_encoded_bytes()].concat()));
    words.extend(options(request).into_iter().flatten().map(String::into_bytes));
    // A half does not know the other one's path.
    let paths = match (request.is_half(), other) {
        (false, _) => vec![absolute(source), absolute(destination)],
        (true, Role::Reader) => vec![Some("SRC".into())],
        (true, Role::Writer) => vec![Some("DST".into())],
    };
    let paths = paths.iter().flatten().map(|path| path.as_os_str());
    let named: Vec<&[u8]> = paths.chain(request.name()).map(OsStr::as_encoded_bytes).collect();
    if named.iter().any(|word| word.starts_with(b"-")) {
        words.push(b"--".into());
    }
    words.extend(named.into_iter().map(Into::into));
    words.iter().map(|word| duocopy::shell_quote(word)).collect::<Vec<_>>().join(" ")
}

/// Returns the options that the other process needs as well; a half of its own needs only what both must share.
fn options(request: &Request) -> Vec<Option<String>> {
    let flag = |is_needed: bool, name: &str| is_needed.then(|| format!("--{name}"));
    let mut words = Vec::new();
    if !request.is_half() {
        let direct = (request.direct_source, request.direct_destination);
        let preserve: Vec<_> =
            request.preserve.iter().map(|what| name_of(PRESERVE, &Preserving::This(*what))).collect();
        words.extend([
            flag(!request.sandbox, "no-sandbox"),
            chosen("fsync", FSYNC, &request.fsync, &Fsync::End),
            chosen("sparse", SPARSE, &request.sparse, &Sparse::Auto),
            flag(request.verify == Verify::Reread, "verify=reread"),
            chosen("direct", DIRECT, &direct, &(false, false)),
            flag(request.drop_cache, "drop-cache"),
            flag(request.keep_partial, "partial"),
            flag(!request.resume, "no-resume"),
            flag(!preserve.is_empty(), &format!("preserve={}", preserve.join(","))),
            chosen("update", UPDATE, &request.overwrite, &Overwrite::Replace),
            chosen("backup", BACKUP, &request.backup, &Backup::None),
            request.rate_limit.map(|rate| format!("--bwlimit={rate}")),
        ]);
    }
    let within = request.replace_within.map(|time| humantime::format_duration(time).to_string());
    words.extend([
        flag(request.verify == Verify::None, "verify=none"),
        chosen("hash", HASH, &request.hash, &Hash::Crc64),
        within.map(|time| format!("--replace-within={}", time.replace(' ', ""))),
    ]);
    words
}

/// Returns an option with its value, unless it is what the other process would do anyway.
fn chosen<T: PartialEq>(name: &str, choices: Choices<T>, value: &T, usual: &T) -> Option<String> {
    (value != usual).then(|| format!("--{name}={}", name_of(choices, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use duocopy::Preserve;
    use std::time::Duration;

    /// The command without quotes: which words need them differs between systems.
    fn words(request: &Request, other: Role) -> String {
        command(request, other).replace('"', "")
    }

    #[test]
    fn the_command_has_the_options_that_the_other_process_needs() {
        let mut request = Request { sandbox: true, ..Request::pair("/a", "/b") };
        assert_eq!(words(&request, Role::Writer), "duocopy /a /b");
        request.fsync = Fsync::None;
        request.verify = Verify::None;
        request.direct_source = true;
        request.preserve = vec![Preserve::Mode, Preserve::Acl];
        request.overwrite = Overwrite::ReplaceIfOlder;
        request.replace_within = Some(Duration::from_secs(90));
        assert_eq!(
            words(&request, Role::Writer),
            "duocopy --fsync=none --direct=source --preserve=mode,acl --update=older --verify=none \
             --replace-within=1m30s /a /b"
        );
        let half = Request { dir: Some("/meet".into()), drop_cache: true, ..Request::write("/b", "-n") };
        assert_eq!(words(&half, Role::Reader), "duocopy read --dir=/meet -- SRC -n");
    }
}
