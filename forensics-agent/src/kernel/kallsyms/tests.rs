use std::{collections::BTreeMap, io::Cursor};

use proptest::prelude::*;

use super::*;

const SAMPLE: &str = "\
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81000010 t __pfx_do_exit
ffffffff81000020 T do_exit
ffffffff81000100 t do_group_exit.part.0
ffffffff81000180 D jiffies
ffffffff81000200 W weak_one
ffffffffc0203000 t ext4_sync_file\t[ext4]
ffffffffc0201000 t bpf_prog_1234_signal_raw\t[bpf]
ffff800012345000 t far_away
";

fn read(text: impl AsRef<[u8]>) -> Result<Kallsyms, String> {
    Kallsyms::read(Cursor::new(text)).map_err(|error| match error {
        ReadError::Io(error) => error.to_string(),
        ReadError::Useless(error) => error.to_string(),
    })
}

#[test]
fn finds_the_function_that_called() {
    let symbols = read(SAMPLE).unwrap();
    for (address, expected) in [
        (0xffff_ffff_8100_0001_u64, Some(("_stext", 1))),
        (0xffff_ffff_8100_0020, Some(("_stext", 0x20))),
        (0xffff_ffff_8100_0021, Some(("do_exit", 1))),
        // A call that is the last instruction returns to the first byte of the next function.
        (0xffff_ffff_8100_0100, Some(("do_exit", 0xe0))),
        (0xffff_ffff_8100_0190, Some(("do_group_exit.part.0", 0x90))),
        (0xffff_ffff_8100_0210, Some(("weak_one", 0x10))),
        (0xffff_ffff_c020_1004, Some(("bpf_prog_1234_signal_raw [bpf]", 4))),
        (0xffff_ffff_c020_3004, Some(("ext4_sync_file [ext4]", 4))),
        (0xffff_8000_1234_5001, Some(("far_away", 1))),
        // Nothing there.
        (0xffff_ffff_8102_0000, None),
        (0xffff_ffff_ffff_ffff, None),
        (0xffff_8000_1234_4fff, None),
        (1, None),
        (0, None),
    ] {
        let found = symbols.resolve(address).map(|symbol| (symbol.name, symbol.offset));
        assert_eq!(found, expected, "{address:#x}");
    }
    assert_eq!(symbols.names(&[0xffff_ffff_8100_0021, 0x123]), ["do_exit", "0x123"]);
}

#[test]
fn says_that_addresses_are_hidden() {
    let hidden = "0000000000000000 T _stext\n0000000000000000 t do_exit\n";
    assert!(read(hidden).unwrap_err().starts_with("the kernel hides"));
    assert!(read("").unwrap_err().starts_with("the kernel lists no symbols"));
    assert!(read("ffffffff81000180 D jiffies\n").unwrap_err().starts_with("the kernel lists no symbols"));
    let missing = Kallsyms::load(Path::new("/nonexistent/kallsyms")).unwrap_err();
    assert!(
        missing.to_string().starts_with("cannot read the kernel's symbols from /nonexistent/kallsyms"),
        "{missing}"
    );
}

#[test]
fn skips_what_is_no_line() {
    let long = format!("ffffffff81000040 T {}\n", "a".repeat(5000));
    // The tail of a line that is too long must not be read as a line of its own.
    let tail = format!("{} {}\n", "x".repeat(1023), "ffffffff81000050 T tail");
    let text = format!(
        "{SAMPLE}{long}{tail}\n\n \nzz T x\n+fffffff81000060 T sign\nffffffff81000070 T \nffffffff81000080 T esc\x1b[31m\nffffffff81000090 Tx two\nfffffffffffffffff T long_address\nffffffff810000a0 T last"
    );
    let symbols = read(&text).unwrap();
    assert_eq!(symbols.resolve(0xffff_ffff_8100_00a0).map(|s| s.name), Some("do_exit"));
    assert_eq!(symbols.resolve(0xffff_ffff_8100_00a1).map(|s| s.name), Some("last"));
    let mut bytes = b"ffffffff81000000 T bad\xff\n".to_vec();
    bytes.extend_from_slice(SAMPLE.as_bytes());
    assert!(Kallsyms::read(Cursor::new(bytes)).is_ok());
}

#[test]
fn reads_the_running_kernel() {
    let symbols = match Kallsyms::load(Path::new(PATH)) {
        Ok(symbols) => symbols,
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            return;
        }
    };
    let text = std::fs::read_to_string(PATH).unwrap();
    let address = |name: &str| {
        let line = text.lines().find(|line| line.split(' ').nth(2) == Some(name)).unwrap();
        u64::from_str_radix(&line[..16], 16).unwrap()
    };
    for name in ["do_exit", "kill_pid_info_type", "vfs_write"] {
        if text.contains(&format!(" {name}\n")) {
            assert_eq!(
                symbols.resolve(address(name) + 4).map(|symbol| (symbol.name, symbol.offset)),
                Some((name, 4))
            );
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000), address: u64) {
        if let Ok(symbols) = read(bytes) {
            let _ = symbols.resolve(address);
        }
    }

    #[test]
    fn mutated_lines_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let mut bytes = SAMPLE.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(symbols) = read(bytes) {
            symbols.names(&[0, u64::MAX, 0xffff_ffff_8100_0100]);
        }
    }

    #[test]
    fn agrees_with_a_plain_map(symbols in prop::collection::btree_map(1_u64.., "[a-z]{1,8}", 1..40), probes in prop::collection::vec(any::<u64>(), 0..20)) {
        let text: String = symbols.iter().rev().map(|(address, name)| format!("{address:016x} t {name}\n")).collect();
        let table = read(&text).unwrap();
        let near = symbols.keys().flat_map(|start| [*start, start.saturating_add(1), start.saturating_add(MAX_FUNCTION + 1)]);
        for address in near.chain(probes) {
            let plain: Option<(&u64, &String)> = address.checked_sub(1).and_then(|before| BTreeMap::range(&symbols, ..=before).next_back());
            let expected = plain.map(|(start, name)| (name.as_str(), address - start)).filter(|(_, offset)| *offset <= MAX_FUNCTION);
            prop_assert_eq!(table.resolve(address).map(|symbol| (symbol.name, symbol.offset)), expected);
        }
    }
}
