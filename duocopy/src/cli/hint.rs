//! The command that starts the other process, for messages.

use super::render::path_of;
use super::values::{BACKUP, DIRECT, FSYNC, HASH, PRESERVE, SPARSE, UPDATE, VERIFY, name_of};
use duocopy::{Backup, Fsync, Hash, Overwrite, Parties, Request, Role, Sparse, Verify};

/// Returns the command that starts the process in the `other` role, ready to be pasted into a shell.
pub fn command(request: &Request, other: Role) -> String {
    let (paths, name) = match &request.parties {
        Parties::Pair { source, destination, name } => {
            (vec![source.as_os_str(), path_of(destination).as_os_str()], name.as_ref())
        }
        Parties::Both { source, destination } => {
            (vec![source.as_os_str(), path_of(destination).as_os_str()], None)
        }
        // This half does not know the other one's path.
        Parties::Read { name, .. } => (vec!["DST".as_ref()], Some(name)),
        Parties::Write { name, .. } => (vec!["SRC".as_ref()], Some(name)),
    };
    let mut words: Vec<Vec<u8>> = vec![b"duocopy".into()];
    if request.is_half() {
        words.push(if other == Role::Reader { b"read".into() } else { b"write".into() });
    }
    words.extend(options(request));
    // Absolute paths never look like flags; a name might.
    if name.is_some_and(|name| name.as_encoded_bytes().starts_with(b"-")) {
        words.push(b"--".into());
    }
    words.extend(paths.into_iter().chain(name.map(AsRef::as_ref)).map(|word| word.as_encoded_bytes().into()));
    words.iter().map(|word| duocopy::shell_quote(word)).collect::<Vec<_>>().join(" ")
}

/// Returns the options that the other process needs as well; a half of its own needs only what both must share.
fn options(request: &Request) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    if let Some(dir) = &request.dir {
        words.push([b"--dir=", dir.as_os_str().as_encoded_bytes()].concat());
    }
    let mut option = |is_needed: bool, word: String| words.extend(is_needed.then(|| word.into_bytes()));
    let valued = |name: &str, value: &str| format!("--{name}={value}");
    if !request.is_half() {
        let ends: Vec<_> =
            [(request.direct_source, Role::Reader), (request.direct_destination, Role::Writer)]
                .into_iter()
                .filter_map(|(is_direct, role)| is_direct.then_some(role))
                .collect();
        let direct = DIRECT.iter().find(|(.., roles)| **roles == ends[..]).map_or("", |(names, ..)| names[0]);
        let preserve: Vec<_> = request.preserve.iter().map(|what| name_of(PRESERVE, &Some(*what))).collect();
        let rate = request.rate_limit.unwrap_or_default();
        option(!request.sandbox, "--no-sandbox".into());
        option(request.fsync != Fsync::End, valued("fsync", name_of(FSYNC, &request.fsync)));
        option(request.sparse != Sparse::Auto, valued("sparse", name_of(SPARSE, &request.sparse)));
        option(request.verify == Verify::Reread, valued("verify", name_of(VERIFY, &request.verify)));
        option(!ends.is_empty(), valued("direct", direct));
        option(request.drop_cache, "--drop-cache".into());
        option(request.keep_partial, "--partial".into());
        option(!request.resume, "--no-resume".into());
        option(!preserve.is_empty(), valued("preserve", &preserve.join(",")));
        option(
            request.overwrite != Overwrite::Replace,
            valued("update", name_of(UPDATE, &request.overwrite)),
        );
        option(request.backup != Backup::None, valued("backup", name_of(BACKUP, &request.backup)));
        option(request.rate_limit.is_some(), valued("bwlimit", &rate.to_string()));
    }
    option(request.verify == Verify::None, valued("verify", name_of(VERIFY, &request.verify)));
    option(request.hash != Hash::Crc64, valued("hash", name_of(HASH, &request.hash)));
    if let Some(time) = request.replace_within {
        option(
            true,
            valued("replace-within", &humantime::format_duration(time).to_string().replace(' ', "")),
        );
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use duocopy::Preserve;
    use std::time::Duration;

    #[test]
    fn the_command_has_the_options_that_the_other_process_needs() {
        let mut request = Request { sandbox: true, ..Request::pair("/a", "/b") };
        assert_eq!(command(&request, Role::Writer), "duocopy /a /b");
        request.fsync = Fsync::None;
        request.verify = Verify::None;
        request.direct_source = true;
        request.preserve = vec![Preserve::Mode, Preserve::Acl];
        request.overwrite = Overwrite::ReplaceIfOlder;
        request.replace_within = Some(Duration::from_secs(90));
        assert_eq!(
            command(&request, Role::Writer),
            "duocopy --fsync=none --direct=source --preserve=mode,acl --update=older --verify=none \
             --replace-within=1m30s /a /b"
        );
        let half = Request { dir: Some("/meet".into()), drop_cache: true, ..Request::write("/b", "-n") };
        assert_eq!(command(&half, Role::Reader), "duocopy read --dir=/meet -- SRC -n");
    }
}
