#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| duocopy_fuzz::producer(data));
