# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_duocopy_global_optspecs
    string join \n t/target-directory= T/no-target-directory p/preserve= sparse= f/force backup= b S/suffix= n/no-clobber u/update= fsync= partial no-resume block-size= buffer-size= bwlimit= verify= hash= no-sandbox direct= drop-cache wait= replace-within= dir= peer-user= peer-group= dry-run g/progress= stats json q/quiet v/verbose h/help V/version
end

function __fish_duocopy_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_duocopy_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_duocopy_using_subcommand
    set -l cmd (__fish_duocopy_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c duocopy -n "__fish_duocopy_needs_command" -s t -l target-directory -d 'Copy SRC into this directory, instead of naming DST' -r -F
complete -c duocopy -n "__fish_duocopy_needs_command" -s p -l preserve -d 'Preserve the specified attributes [without a list: mode,ownership,timestamps]' -r -f -a "mode\t'Permission bits (on Windows: whether the file is read-only)'
ownership\t'User and group'
timestamps\t'Times of the last access and modification'
links\t'Accepted as by `cp`; each SRC still becomes a file of its own'
xattr\t'Extended attributes'
acl\t'Access lists'
all\t'All of these that this system has'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l sparse -d 'How to create holes in DST' -r -f -a "auto\t'Where SRC has them'
always\t'Also in place of long runs of zeros'
never\t'Nowhere: every byte is written'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l backup -d 'Keep the old DST under another name [without a value: `VERSION_CONTROL`, or existing]' -r -f -a "none\t'Make no backup'
numbered\t'DST.~1~, DST.~2~, …'
existing\t'Numbered if a numbered backup exists, otherwise simple'
simple\t'DST~ (or the suffix in `SIMPLE_BACKUP_SUFFIX`)'"
complete -c duocopy -n "__fish_duocopy_needs_command" -s S -l suffix -d 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -s u -l update -d 'What to do if DST exists; -u means --update=older' -r -f -a "all\t'Replace it'
none\t'Skip the copy and succeed'
none-fail\t'Fail'
older\t'Replace it if it is older than SRC; otherwise skip the copy'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l fsync -d 'What must be on the disk before the copy counts as complete' -r -f -a "none\t'Nothing: the copy may still be in the page cache, as with `cp`'
end\t'The content and the name of the copy'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l block-size -d 'Block size (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l buffer-size -d 'Shared memory for all blocks together [default: 4 blocks; 16 for a stream or a large SRC on a disk]' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l bwlimit -d 'Limit reading to this many bytes per second (500K, 10M)' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l verify -d 'How to compare the copy with the source' -r -f -a "none\t'Compare nothing but the length'
stream\t'Both processes compute a checksum of their own bytes'
reread\t'The Writer also reads the copy back, from the disk where possible'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l hash -d 'Checksum algorithm' -r -f -a "crc64\t'CRC-64/NVME: detects accidental changes'
blake3\t'BLAKE3: detects forgery too; a resumed copy rereads its beginning'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l direct -d 'Bypass the page cache [without a value: both]' -r -f -a "source\t'Reading SRC'
destination\t'Writing DST'
both\t'Both'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l wait -d 'Time limit for the other process to arrive (500ms, 3s, 1m) [default: none]' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l replace-within -d 'If the other process dies, wait this long for a replacement: start the same command again' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l dir -d 'Meet in this directory, which both users or containers can enter [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_needs_command" -l peer-user -d 'Accept only processes of these users (names or numbers)' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l peer-group -d 'Accept only processes of users in these groups' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -s g -l progress -d 'When to show progress [without a value: always]' -r -f -a "auto\t'A bar, if standard error is a terminal and the copy takes longer than a second'
always\t'Also without a terminal: a line every 10 seconds'
never\t'Nothing'"
complete -c duocopy -n "__fish_duocopy_needs_command" -s T -l no-target-directory -d 'Treat DST as a file; refuse it if it is a directory'
complete -c duocopy -n "__fish_duocopy_needs_command" -s f -l force -d 'Replace DST if it exists (the default, except for `write`)'
complete -c duocopy -n "__fish_duocopy_needs_command" -s b -d 'Keep the old DST under another name, as with --backup without a value'
complete -c duocopy -n "__fish_duocopy_needs_command" -s n -l no-clobber -d 'Do not replace DST if it exists; overrides --update'
complete -c duocopy -n "__fish_duocopy_needs_command" -l partial -d 'Keep what was copied after a failure or Ctrl-C, for the next run to resume'
complete -c duocopy -n "__fish_duocopy_needs_command" -l no-resume -d 'Restart from the beginning, even if an interrupted copy could be resumed'
complete -c duocopy -n "__fish_duocopy_needs_command" -l no-sandbox -d 'Keep the rights that this half does not need (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_needs_command" -l drop-cache -d 'Leave nothing of the files in the page cache'
complete -c duocopy -n "__fish_duocopy_needs_command" -l dry-run -d 'Show what a copy would do, and change nothing; start it once'
complete -c duocopy -n "__fish_duocopy_needs_command" -l stats -d 'Report the speed, the bottleneck, and how full the blocks were'
complete -c duocopy -n "__fish_duocopy_needs_command" -l json -d 'Also print events to standard output, one JSON object per line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_needs_command" -s q -l quiet -d 'Report nothing but errors'
complete -c duocopy -n "__fish_duocopy_needs_command" -s v -l verbose -d 'Report what was chosen, and the checksum'
complete -c duocopy -n "__fish_duocopy_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c duocopy -n "__fish_duocopy_needs_command" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "cp" -d 'Copy files with one command, which starts both processes'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "read" -d 'Read a file for a `duocopy write` with the same NAME; either may start first'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "write" -d 'Write what a `duocopy read` with the same NAME reads; either may start first'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "status" -d 'Show the pipes that exist now, which processes use them, and which one waits'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l reflink -d 'When to share blocks with SRC [without a value: always]' -r -f -a "auto\t'Copy the content: two processes share no blocks'
always\t'Refuse the copy'
never\t'Copy the content'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s t -l target-directory -d 'Copy SRC into this directory, instead of naming DST' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s p -l preserve -d 'Preserve the specified attributes [without a list: mode,ownership,timestamps]' -r -f -a "mode\t'Permission bits (on Windows: whether the file is read-only)'
ownership\t'User and group'
timestamps\t'Times of the last access and modification'
links\t'Accepted as by `cp`; each SRC still becomes a file of its own'
xattr\t'Extended attributes'
acl\t'Access lists'
all\t'All of these that this system has'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l sparse -d 'How to create holes in DST' -r -f -a "auto\t'Where SRC has them'
always\t'Also in place of long runs of zeros'
never\t'Nowhere: every byte is written'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l backup -d 'Keep the old DST under another name [without a value: `VERSION_CONTROL`, or existing]' -r -f -a "none\t'Make no backup'
numbered\t'DST.~1~, DST.~2~, …'
existing\t'Numbered if a numbered backup exists, otherwise simple'
simple\t'DST~ (or the suffix in `SIMPLE_BACKUP_SUFFIX`)'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s S -l suffix -d 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s u -l update -d 'What to do if DST exists; -u means --update=older' -r -f -a "all\t'Replace it'
none\t'Skip the copy and succeed'
none-fail\t'Fail'
older\t'Replace it if it is older than SRC; otherwise skip the copy'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l fsync -d 'What must be on the disk before the copy counts as complete' -r -f -a "none\t'Nothing: the copy may still be in the page cache, as with `cp`'
end\t'The content and the name of the copy'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l block-size -d 'Block size (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l buffer-size -d 'Shared memory for all blocks together [default: 4 blocks; 16 for a stream or a large SRC on a disk]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l bwlimit -d 'Limit reading to this many bytes per second (500K, 10M)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l verify -d 'How to compare the copy with the source' -r -f -a "none\t'Compare nothing but the length'
stream\t'Both processes compute a checksum of their own bytes'
reread\t'The Writer also reads the copy back, from the disk where possible'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l hash -d 'Checksum algorithm' -r -f -a "crc64\t'CRC-64/NVME: detects accidental changes'
blake3\t'BLAKE3: detects forgery too; a resumed copy rereads its beginning'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l direct -d 'Bypass the page cache [without a value: both]' -r -f -a "source\t'Reading SRC'
destination\t'Writing DST'
both\t'Both'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s g -l progress -d 'When to show progress [without a value: always]' -r -f -a "auto\t'A bar, if standard error is a terminal and the copy takes longer than a second'
always\t'Also without a terminal: a line every 10 seconds'
never\t'Nothing'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s a -l archive -d 'Copy symbolic links as links, and preserve everything: the same as -dR --preserve=all'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s d -d 'The same as -P --preserve=links'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s P -l no-dereference -d 'Copy symbolic links as links'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s L -l dereference -d 'Copy the files that symbolic links lead to (the default without -a, -d, -P and -R)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s H -d 'Copy the files that symbolic links on the command line lead to'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s R -l recursive -d 'Copy symbolic links as links; directories are still refused'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l attributes-only -d 'Copy only attributes (--preserve), and no content; an existing DST is changed in place'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l copy-contents -d 'Also read SRC if it is a pipe or a device'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l parents -d 'Create the directories in the path of SRC below DST, which must be a directory'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l remove-destination -d 'Replace DST even if it is a symbolic link, and take no attributes from it'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l strip-trailing-slashes -d 'Remove the slashes at the end of each SRC'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s i -l interactive -d 'Ask before DST is replaced; overrides an earlier -n'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l debug -d 'Say on standard output how each file is copied; implies -v there'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s T -l no-target-directory -d 'Treat DST as a file; refuse it if it is a directory'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s f -l force -d 'Replace DST if it exists (the default, except for `write`)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s b -d 'Keep the old DST under another name, as with --backup without a value'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s n -l no-clobber -d 'Do not replace DST if it exists; overrides --update'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l partial -d 'Keep what was copied after a failure or Ctrl-C, for the next run to resume'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l no-resume -d 'Restart from the beginning, even if an interrupted copy could be resumed'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l no-sandbox -d 'Keep the rights that this half does not need (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l drop-cache -d 'Leave nothing of the files in the page cache'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l dry-run -d 'Show what a copy would do, and change nothing; start it once'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l stats -d 'Report the speed, the bottleneck, and how full the blocks were'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l json -d 'Also print events to standard output, one JSON object per line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s q -l quiet -d 'Report nothing but errors'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s v -l verbose -d 'Report what was chosen, and the checksum'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l block-size -d 'Block size (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l buffer-size -d 'Shared memory for all blocks together [default: 4 blocks; 16 for a stream or a large SRC on a disk]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l bwlimit -d 'Limit reading to this many bytes per second (500K, 10M)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l verify -d 'How to compare the copy with the source' -r -f -a "none\t'Compare nothing but the length'
stream\t'Both processes compute a checksum of their own bytes'
reread\t'The Writer also reads the copy back, from the disk where possible'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l hash -d 'Checksum algorithm' -r -f -a "crc64\t'CRC-64/NVME: detects accidental changes'
blake3\t'BLAKE3: detects forgery too; a resumed copy rereads its beginning'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l direct -d 'Bypass the page cache [without a value: both]' -r -f -a "source\t'Reading SRC'
destination\t'Writing DST'
both\t'Both'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l wait -d 'Time limit for the other process to arrive (500ms, 3s, 1m) [default: none]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l replace-within -d 'If the other process dies, wait this long for a replacement: start the same command again' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l dir -d 'Meet in this directory, which both users or containers can enter [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l peer-user -d 'Accept only processes of these users (names or numbers)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l peer-group -d 'Accept only processes of users in these groups' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s g -l progress -d 'When to show progress [without a value: always]' -r -f -a "auto\t'A bar, if standard error is a terminal and the copy takes longer than a second'
always\t'Also without a terminal: a line every 10 seconds'
never\t'Nothing'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l no-sandbox -d 'Keep the rights that this half does not need (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l drop-cache -d 'Leave nothing of the files in the page cache'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l dry-run -d 'Show what a copy would do, and change nothing; start it once'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l stats -d 'Report the speed, the bottleneck, and how full the blocks were'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l json -d 'Also print events to standard output, one JSON object per line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s q -l quiet -d 'Report nothing but errors'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s v -l verbose -d 'Report what was chosen, and the checksum'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l max-bytes -d 'Refuse a source that is longer (512M, 10G)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s p -l preserve -d 'Preserve the specified attributes [without a list: mode,ownership,timestamps]' -r -f -a "mode\t'Permission bits (on Windows: whether the file is read-only)'
ownership\t'User and group'
timestamps\t'Times of the last access and modification'
links\t'Accepted as by `cp`; each SRC still becomes a file of its own'
xattr\t'Extended attributes'
acl\t'Access lists'
all\t'All of these that this system has'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l sparse -d 'How to create holes in DST' -r -f -a "auto\t'Where SRC has them'
always\t'Also in place of long runs of zeros'
never\t'Nowhere: every byte is written'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l backup -d 'Keep the old DST under another name [without a value: `VERSION_CONTROL`, or existing]' -r -f -a "none\t'Make no backup'
numbered\t'DST.~1~, DST.~2~, …'
existing\t'Numbered if a numbered backup exists, otherwise simple'
simple\t'DST~ (or the suffix in `SIMPLE_BACKUP_SUFFIX`)'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s S -l suffix -d 'Suffix of a simple backup; implies -b [default: `SIMPLE_BACKUP_SUFFIX`, or ~]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l fsync -d 'What must be on the disk before the copy counts as complete' -r -f -a "none\t'Nothing: the copy may still be in the page cache, as with `cp`'
end\t'The content and the name of the copy'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l verify -d 'How to compare the copy with the source' -r -f -a "none\t'Compare nothing but the length'
stream\t'Both processes compute a checksum of their own bytes'
reread\t'The Writer also reads the copy back, from the disk where possible'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l hash -d 'Checksum algorithm' -r -f -a "crc64\t'CRC-64/NVME: detects accidental changes'
blake3\t'BLAKE3: detects forgery too; a resumed copy rereads its beginning'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l direct -d 'Bypass the page cache [without a value: both]' -r -f -a "source\t'Reading SRC'
destination\t'Writing DST'
both\t'Both'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l wait -d 'Time limit for the other process to arrive (500ms, 3s, 1m) [default: none]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l replace-within -d 'If the other process dies, wait this long for a replacement: start the same command again' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l dir -d 'Meet in this directory, which both users or containers can enter [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l peer-user -d 'Accept only processes of these users (names or numbers)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l peer-group -d 'Accept only processes of users in these groups' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s g -l progress -d 'When to show progress [without a value: always]' -r -f -a "auto\t'A bar, if standard error is a terminal and the copy takes longer than a second'
always\t'Also without a terminal: a line every 10 seconds'
never\t'Nothing'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s f -l force -d 'Replace DST if it exists (the default, except for `write`)'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s b -d 'Keep the old DST under another name, as with --backup without a value'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l partial -d 'Keep what was copied after a failure or Ctrl-C, for the next run to resume'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l no-resume -d 'Restart from the beginning, even if an interrupted copy could be resumed'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l no-sandbox -d 'Keep the rights that this half does not need (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l drop-cache -d 'Leave nothing of the files in the page cache'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l dry-run -d 'Show what a copy would do, and change nothing; start it once'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l stats -d 'Report the speed, the bottleneck, and how full the blocks were'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l json -d 'Also print events to standard output, one JSON object per line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s q -l quiet -d 'Report nothing but errors'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s v -l verbose -d 'Report what was chosen, and the checksum'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -l dir -d 'Show the pipes in this directory [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -l json -d 'Print one JSON object per pipe, each on its own line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -l watch -d 'Repeat every second, until Ctrl-C'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -l clean -d 'Remove the pipes that killed pairs left, and nothing else'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -s h -l help -d 'Print help'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "cp" -d 'Copy files with one command, which starts both processes'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "read" -d 'Read a file for a `duocopy write` with the same NAME; either may start first'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "write" -d 'Write what a `duocopy read` with the same NAME reads; either may start first'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "status" -d 'Show the pipes that exist now, which processes use them, and which one waits'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
