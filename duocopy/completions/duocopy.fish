# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_duocopy_global_optspecs
    string join \n t/target-directory= T/no-target-directory wait= block-size= buffer-size= bwlimit= dir= peer-user= peer-group= direct= drop-cache fsync= verify= hash= sparse= p/preserve= f/force n/no-clobber u/update= backup= dry-run partial no-resume replace-within= g/progress= stats no-sandbox json q/quiet v/verbose h/help V/version
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

complete -c duocopy -n "__fish_duocopy_needs_command" -s t -l target-directory -d 'Put SRC into this directory; then there is no DST' -r -F
complete -c duocopy -n "__fish_duocopy_needs_command" -l wait -d 'How long to wait for the second process (500ms, 3s, 1m) [default: for ever]' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l block-size -d 'Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l buffer-size -d 'Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l bwlimit -d 'Read at most so many bytes per second, evenly (500K, 10M)' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l dir -d 'Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_needs_command" -l peer-user -d 'Refuse a partner of any other user than these (names or numbers)' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l peer-group -d 'Refuse a partner whose user belongs to none of these groups' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -l direct -d 'Read and write past the page cache, straight from and to the disk; alone it means both' -r -f -a "source\t''
destination\t''
both\t''"
complete -c duocopy -n "__fish_duocopy_needs_command" -l fsync -d 'What must be on the disk before a copy counts as complete' -r -f -a "none\t'The copy may still be in the page cache, as with `cp`'
end\t'The copy is on the disk, and so is its name'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l verify -d 'How to make sure that the copy is the source' -r -f -a "none\t'Not at all'
stream\t'Both processes compute a checksum of their own bytes, and compare'
reread\t'The Writer also reads the copy again, from the disk if the file system can do that: takes as long again as reading'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l hash -d 'What to compute of the content' -r -f -a "crc64\t'CRC-64/NVME: finds every accident'
blake3\t'BLAKE3: finds forgery too; a copy that goes on in the middle reads the beginning again'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l sparse -d 'Which zeros take no space in DST' -r -f -a "auto\t'Holes of the source stay holes'
always\t'Other long runs of zeros become holes, too'
never\t'Every byte is written and takes its space'"
complete -c duocopy -n "__fish_duocopy_needs_command" -s p -l preserve -d 'Take these over from SRC [without a list: mode,ownership,timestamps]' -r -f -a "mode\t'Permissions (on Windows: whether it may be written to)'
ownership\t'User and group'
timestamps\t'When it was last read and last written to'
xattr\t'Extended attributes'
acl\t'Access lists'
all\t'All of these that this system has'"
complete -c duocopy -n "__fish_duocopy_needs_command" -s u -l update -d 'What to do if DST exists; -u is --update=older' -r -f -a "all\t'It is replaced'
none\t'It stays, which is no failure'
none-fail\t'It stays, and that is a failure'
older\t'It is replaced if it was last written to before SRC was; else it stays, which is no failure'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l backup -d 'Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]' -r -f -a "none\t'It is not kept'
numbered\t'DST.~1~, DST.~2~, …'
existing\t'Numbered if there is one with a number, else simple'
simple\t'DST~ (or what `SIMPLE_BACKUP_SUFFIX` says instead of ~)'"
complete -c duocopy -n "__fish_duocopy_needs_command" -l replace-within -d 'Wait so long for a new partner when the other process has died: start the same command again' -r
complete -c duocopy -n "__fish_duocopy_needs_command" -s g -l progress -d 'Show progress; alone it means always' -r -f -a "auto\t'A bar if standard error is a terminal and the copy lasts longer than a second'
always\t'Also elsewhere: a plain line every 10 seconds'
never\t''"
complete -c duocopy -n "__fish_duocopy_needs_command" -s T -l no-target-directory -d 'Take DST for a file, and never for a directory to put it in'
complete -c duocopy -n "__fish_duocopy_needs_command" -l drop-cache -d 'Leave nothing of the files in the page cache'
complete -c duocopy -n "__fish_duocopy_needs_command" -s f -l force -d 'Replace DST if it exists (what is done anyway, except by `write`)'
complete -c duocopy -n "__fish_duocopy_needs_command" -s n -l no-clobber -d 'Leave DST as it is if it exists, whatever --update says'
complete -c duocopy -n "__fish_duocopy_needs_command" -l dry-run -d 'Only say what would be done; start it once'
complete -c duocopy -n "__fish_duocopy_needs_command" -l partial -d 'Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time'
complete -c duocopy -n "__fish_duocopy_needs_command" -l no-resume -d 'Start over, whatever an interrupted copy left'
complete -c duocopy -n "__fish_duocopy_needs_command" -l stats -d 'Say at the end how fast it was, who waited for whom, and how full the blocks were'
complete -c duocopy -n "__fish_duocopy_needs_command" -l no-sandbox -d 'Do not give up the rights that a half does not need (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_needs_command" -l json -d 'Write what happens to standard output, too: one JSON object per line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_needs_command" -s q -l quiet -d 'Say nothing but errors'
complete -c duocopy -n "__fish_duocopy_needs_command" -s v -l verbose -d 'Say what was chosen, and the checksum'
complete -c duocopy -n "__fish_duocopy_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c duocopy -n "__fish_duocopy_needs_command" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "cp" -d 'Copy a file with one command, which starts both processes'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "read" -d 'Read a file for a `duocopy write` under the same NAME, which may come first'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "write" -d 'Write what a `duocopy read` under the same NAME reads; it may come later'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "status" -d 'Show the pipes that are there now, who is at them and who waits for whom; disturbs nobody'
complete -c duocopy -n "__fish_duocopy_needs_command" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s t -l target-directory -d 'Put SRC into this directory; then there is no DST' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l block-size -d 'Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l buffer-size -d 'Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l bwlimit -d 'Read at most so many bytes per second, evenly (500K, 10M)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l direct -d 'Read and write past the page cache, straight from and to the disk; alone it means both' -r -f -a "source\t''
destination\t''
both\t''"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l fsync -d 'What must be on the disk before a copy counts as complete' -r -f -a "none\t'The copy may still be in the page cache, as with `cp`'
end\t'The copy is on the disk, and so is its name'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l verify -d 'How to make sure that the copy is the source' -r -f -a "none\t'Not at all'
stream\t'Both processes compute a checksum of their own bytes, and compare'
reread\t'The Writer also reads the copy again, from the disk if the file system can do that: takes as long again as reading'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l hash -d 'What to compute of the content' -r -f -a "crc64\t'CRC-64/NVME: finds every accident'
blake3\t'BLAKE3: finds forgery too; a copy that goes on in the middle reads the beginning again'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l sparse -d 'Which zeros take no space in DST' -r -f -a "auto\t'Holes of the source stay holes'
always\t'Other long runs of zeros become holes, too'
never\t'Every byte is written and takes its space'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s p -l preserve -d 'Take these over from SRC [without a list: mode,ownership,timestamps]' -r -f -a "mode\t'Permissions (on Windows: whether it may be written to)'
ownership\t'User and group'
timestamps\t'When it was last read and last written to'
xattr\t'Extended attributes'
acl\t'Access lists'
all\t'All of these that this system has'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s u -l update -d 'What to do if DST exists; -u is --update=older' -r -f -a "all\t'It is replaced'
none\t'It stays, which is no failure'
none-fail\t'It stays, and that is a failure'
older\t'It is replaced if it was last written to before SRC was; else it stays, which is no failure'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l backup -d 'Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]' -r -f -a "none\t'It is not kept'
numbered\t'DST.~1~, DST.~2~, …'
existing\t'Numbered if there is one with a number, else simple'
simple\t'DST~ (or what `SIMPLE_BACKUP_SUFFIX` says instead of ~)'"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s g -l progress -d 'Show progress; alone it means always' -r -f -a "auto\t'A bar if standard error is a terminal and the copy lasts longer than a second'
always\t'Also elsewhere: a plain line every 10 seconds'
never\t''"
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l dir -d 'Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l peer-user -d 'Refuse a partner of any other user than these (names or numbers)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l peer-group -d 'Refuse a partner whose user belongs to none of these groups' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l wait -d 'How long to wait for the second process (500ms, 3s, 1m) [default: for ever]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l replace-within -d 'Wait so long for a new partner when the other process has died: start the same command again' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s T -l no-target-directory -d 'Take DST for a file, and never for a directory to put it in'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l drop-cache -d 'Leave nothing of the files in the page cache'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s f -l force -d 'Replace DST if it exists (what is done anyway, except by `write`)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s n -l no-clobber -d 'Leave DST as it is if it exists, whatever --update says'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l dry-run -d 'Only say what would be done; start it once'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l partial -d 'Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l no-resume -d 'Start over, whatever an interrupted copy left'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l stats -d 'Say at the end how fast it was, who waited for whom, and how full the blocks were'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l no-sandbox -d 'Do not give up the rights that a half does not need (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -l json -d 'Write what happens to standard output, too: one JSON object per line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s q -l quiet -d 'Say nothing but errors'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s v -l verbose -d 'Say what was chosen, and the checksum'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c duocopy -n "__fish_duocopy_using_subcommand cp" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l wait -d 'How long to wait for the second process (500ms, 3s, 1m) [default: for ever]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l block-size -d 'Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l buffer-size -d 'Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l bwlimit -d 'Read at most so many bytes per second, evenly (500K, 10M)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l dir -d 'Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l peer-user -d 'Refuse a partner of any other user than these (names or numbers)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l peer-group -d 'Refuse a partner whose user belongs to none of these groups' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l direct -d 'Read and write past the page cache, straight from and to the disk; alone it means both' -r -f -a "source\t''
destination\t''
both\t''"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l verify -d 'How to make sure that the copy is the source' -r -f -a "none\t'Not at all'
stream\t'Both processes compute a checksum of their own bytes, and compare'
reread\t'The Writer also reads the copy again, from the disk if the file system can do that: takes as long again as reading'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l hash -d 'What to compute of the content' -r -f -a "crc64\t'CRC-64/NVME: finds every accident'
blake3\t'BLAKE3: finds forgery too; a copy that goes on in the middle reads the beginning again'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l replace-within -d 'Wait so long for a new partner when the other process has died: start the same command again' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s g -l progress -d 'Show progress; alone it means always' -r -f -a "auto\t'A bar if standard error is a terminal and the copy lasts longer than a second'
always\t'Also elsewhere: a plain line every 10 seconds'
never\t''"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s u -l update -d 'What to do if DST exists; -u is --update=older' -r -f -a "all\t'It is replaced'
none\t'It stays, which is no failure'
none-fail\t'It stays, and that is a failure'
older\t'It is replaced if it was last written to before SRC was; else it stays, which is no failure'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l backup -d 'Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]' -r -f -a "none\t'It is not kept'
numbered\t'DST.~1~, DST.~2~, …'
existing\t'Numbered if there is one with a number, else simple'
simple\t'DST~ (or what `SIMPLE_BACKUP_SUFFIX` says instead of ~)'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s p -l preserve -d 'Take these over from SRC [without a list: mode,ownership,timestamps]' -r -f -a "mode\t'Permissions (on Windows: whether it may be written to)'
ownership\t'User and group'
timestamps\t'When it was last read and last written to'
xattr\t'Extended attributes'
acl\t'Access lists'
all\t'All of these that this system has'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l fsync -d 'What must be on the disk before a copy counts as complete' -r -f -a "none\t'The copy may still be in the page cache, as with `cp`'
end\t'The copy is on the disk, and so is its name'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l sparse -d 'Which zeros take no space in DST' -r -f -a "auto\t'Holes of the source stay holes'
always\t'Other long runs of zeros become holes, too'
never\t'Every byte is written and takes its space'"
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l drop-cache -d 'Leave nothing of the files in the page cache'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l dry-run -d 'Only say what would be done; start it once'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l stats -d 'Say at the end how fast it was, who waited for whom, and how full the blocks were'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l no-sandbox -d 'Do not give up the rights that a half does not need (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l json -d 'Write what happens to standard output, too: one JSON object per line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s q -l quiet -d 'Say nothing but errors'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s v -l verbose -d 'Say what was chosen, and the checksum'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s f -l force -d 'Replace DST if it exists (what is done anyway, except by `write`)'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s n -l no-clobber -d 'Leave DST as it is if it exists, whatever --update says'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l partial -d 'Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -l no-resume -d 'Start over, whatever an interrupted copy left'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c duocopy -n "__fish_duocopy_using_subcommand read" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l max-bytes -d 'Refuse a source that is longer (512M, 10G)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l wait -d 'How long to wait for the second process (500ms, 3s, 1m) [default: for ever]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l dir -d 'Meet in this directory, which both users (or containers) can enter [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l peer-user -d 'Refuse a partner of any other user than these (names or numbers)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l peer-group -d 'Refuse a partner whose user belongs to none of these groups' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l direct -d 'Read and write past the page cache, straight from and to the disk; alone it means both' -r -f -a "source\t''
destination\t''
both\t''"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l fsync -d 'What must be on the disk before a copy counts as complete' -r -f -a "none\t'The copy may still be in the page cache, as with `cp`'
end\t'The copy is on the disk, and so is its name'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l verify -d 'How to make sure that the copy is the source' -r -f -a "none\t'Not at all'
stream\t'Both processes compute a checksum of their own bytes, and compare'
reread\t'The Writer also reads the copy again, from the disk if the file system can do that: takes as long again as reading'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l hash -d 'What to compute of the content' -r -f -a "crc64\t'CRC-64/NVME: finds every accident'
blake3\t'BLAKE3: finds forgery too; a copy that goes on in the middle reads the beginning again'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l sparse -d 'Which zeros take no space in DST' -r -f -a "auto\t'Holes of the source stay holes'
always\t'Other long runs of zeros become holes, too'
never\t'Every byte is written and takes its space'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s p -l preserve -d 'Take these over from SRC [without a list: mode,ownership,timestamps]' -r -f -a "mode\t'Permissions (on Windows: whether it may be written to)'
ownership\t'User and group'
timestamps\t'When it was last read and last written to'
xattr\t'Extended attributes'
acl\t'Access lists'
all\t'All of these that this system has'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l backup -d 'Keep the DST that is replaced, under another name [alone: `VERSION_CONTROL`, or existing]' -r -f -a "none\t'It is not kept'
numbered\t'DST.~1~, DST.~2~, …'
existing\t'Numbered if there is one with a number, else simple'
simple\t'DST~ (or what `SIMPLE_BACKUP_SUFFIX` says instead of ~)'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l replace-within -d 'Wait so long for a new partner when the other process has died: start the same command again' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s g -l progress -d 'Show progress; alone it means always' -r -f -a "auto\t'A bar if standard error is a terminal and the copy lasts longer than a second'
always\t'Also elsewhere: a plain line every 10 seconds'
never\t''"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s u -l update -d 'What to do if DST exists; -u is --update=older' -r -f -a "all\t'It is replaced'
none\t'It stays, which is no failure'
none-fail\t'It stays, and that is a failure'
older\t'It is replaced if it was last written to before SRC was; else it stays, which is no failure'"
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l block-size -d 'Bytes that change hands at once (64K, 1M; K=1024, KB=1000) [default: 512K; less for a small SRC or --buffer-size]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l buffer-size -d 'Shared memory for all blocks together [default: 4 blocks; 16 if SRC is not in memory]' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l bwlimit -d 'Read at most so many bytes per second, evenly (500K, 10M)' -r
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l drop-cache -d 'Leave nothing of the files in the page cache'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s f -l force -d 'Replace DST if it exists (what is done anyway, except by `write`)'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l dry-run -d 'Only say what would be done; start it once'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l partial -d 'Keep what was copied when the copy fails or is interrupted (Ctrl-C), to go on from there the next time'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l no-resume -d 'Start over, whatever an interrupted copy left'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l stats -d 'Say at the end how fast it was, who waited for whom, and how full the blocks were'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l no-sandbox -d 'Do not give up the rights that a half does not need (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -l json -d 'Write what happens to standard output, too: one JSON object per line (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s q -l quiet -d 'Say nothing but errors'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s v -l verbose -d 'Say what was chosen, and the checksum'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s n -l no-clobber -d 'Leave DST as it is if it exists, whatever --update says'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c duocopy -n "__fish_duocopy_using_subcommand write" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -l dir -d 'Look into this directory [default: `DUOCOPY_DIR`, or this user\'s own]' -r -F
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -l json -d 'One JSON object per line and pipe (docs/cli.md)'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -l watch -d 'Look again every second, until Ctrl-C'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -l clean -d 'Remove what killed pairs have left, and nothing else'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -s h -l help -d 'Print help'
complete -c duocopy -n "__fish_duocopy_using_subcommand status" -s V -l version -d 'Print version'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "cp" -d 'Copy a file with one command, which starts both processes'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "read" -d 'Read a file for a `duocopy write` under the same NAME, which may come first'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "write" -d 'Write what a `duocopy read` under the same NAME reads; it may come later'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "status" -d 'Show the pipes that are there now, who is at them and who waits for whom; disturbs nobody'
complete -c duocopy -n "__fish_duocopy_using_subcommand help; and not __fish_seen_subcommand_from cp read write status help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
