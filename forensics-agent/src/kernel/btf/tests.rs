use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Writes small BTF blobs.
#[derive(Default)]
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Writer {
    fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    /// Adds a type and returns its id.
    fn add(&mut self, name: &str, kind: u32, vlen: u32, flag: bool, size_or_type: u32, words: &[u32]) -> u32 {
        let info = u32::from(flag) << 31 | kind << 24 | vlen;
        let name = self.string(name);
        for word in [name, info, size_or_type].iter().chain(words) {
            self.types.extend_from_slice(&word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }

    fn int(&mut self, name: &str, size: u32) -> u32 {
        self.add(name, 1, 0, false, size, &[size * 8])
    }

    /// Adds a structure (kind 4) or union (kind 5) of members (name, type, place).
    fn record(&mut self, name: &str, kind: u32, flag: bool, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let mut words = Vec::new();
        for (member, ty, place) in members {
            let name = self.string(member);
            words.extend([name, *ty, *place]);
        }
        self.add(name, kind, members.len() as u32, flag, size, &words)
    }

    fn finish(&self) -> Vec<u8> {
        let mut out = vec![0x9f, 0xeb, 1, 0];
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            out.extend_from_slice(&u32::to_le_bytes(word));
        }
        out.extend_from_slice(&self.types);
        out.extend_from_slice(&self.strings);
        out
    }
}

/// A blob with every kind in it.
fn sample() -> Vec<u8> {
    let mut w = Writer::new();
    let int = w.int("int", 4);
    let long = w.int("long", 8);
    let int_pointer = w.add("", 2, 0, false, int, &[]);
    let array = w.add("", 3, 0, false, 0, &[long, int, 3]);
    w.add("task_struct", 7, 0, false, 0, &[]);
    let inner_union = w.record("", 5, false, 8, &[("pid", int, 0), ("self", int_pointer, 0)]);
    let anonymous = w.record("", 4, false, 16, &[("before", long, 0), ("", inner_union, 64)]);
    let volatile = w.add("", 9, 0, false, anonymous, &[]);
    let qualified = w.add("", 10, 0, false, volatile, &[]);
    let info = w.record("thread_info", 4, false, 16, &[("flags", long, 0), ("cpu", int, 64)]);
    let info_t = w.add("thread_info_t", 8, 0, false, info, &[]);
    w.record(
        "task_struct",
        4,
        true,
        128,
        &[
            ("thread_info", info_t, 0),
            ("", qualified, 128),
            ("bit", int, 1 << 24 | 256),
            ("table", array, 320),
            ("flexible", array, 512),
        ],
    );
    let old_bitfield = w.add("", 1, 0, false, 4, &[3 << 16 | 5]);
    w.record("old", 4, false, 8, &[("narrow", old_bitfield, 0), ("odd", int, 3)]);
    let names = ["PIDTYPE_PID", "PIDTYPE_PGID", "NEGATIVE"].map(|name| w.string(name));
    w.add("pid_type", 6, 3, true, 4, &[names[0], 0, names[1], 2, names[2], u32::MAX]);
    w.add("wide", 19, 2, false, 8, &[names[0], 1, 2, names[1], u32::MAX, u32::MAX]);
    w.add("unsigned", 6, 1, false, 4, &[names[0], u32::MAX]);
    let proto = { w.add("", 13, 3, false, 0, &[0, int_pointer, 0, int, 0, int]) };
    let pointer = w.add("", 2, 0, false, proto, &[]);
    w.add("btf_trace_signal", 8, 0, false, pointer, &[]);
    let (data, sig) = (w.string("data"), w.string("sig"));
    let named = w.add("", 13, 3, false, 0, &[data, int_pointer, sig, int, 0, 0]);
    let func = w.add("helper", 12, 0, false, named, &[]);
    w.add("tag", 17, 0, false, func, &[0]);
    w.add("type_tag", 18, 0, false, int, &[]);
    let var = w.add("variable", 14, 0, false, int, &[0]);
    w.add(".data", 15, 1, false, 4, &[var, 0, 4]);
    w.add("double", 16, 0, false, 8, &[]);
    w.add("", 11, 0, false, int_pointer, &[]);
    // Twice the same, and twice something else.
    w.record("twin", 4, false, 8, &[("a", int, 0), ("b", int, 32)]);
    w.record("twin", 4, false, 8, &[("a", int, 0), ("b", int, 16)]);
    w.finish()
}

#[test]
fn finds_members() {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    for (path, offset, size) in [
        ("thread_info", 0, 16),
        ("thread_info.flags", 0, 8),
        ("thread_info.cpu", 8, 4),
        ("before", 16, 8),
        ("pid", 24, 4),
        ("self", 24, 8),
        ("table", 40, 24),
    ] {
        assert_eq!(btf.offset_of("task_struct", path).unwrap(), Field { offset, size }, "{path}");
    }
    assert_eq!(btf.size_of("task_struct").unwrap(), 128);
    assert_eq!(btf.offset_of_any("task_struct", &["tgid", "pid"]).unwrap().offset, 24);
}

#[test]
fn says_what_is_missing() {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    let message = |result: Result<Field, BtfError>| result.unwrap_err().to_string();
    assert_eq!(message(btf.offset_of("nothing", "a")), "this kernel has no structure `nothing`");
    for path in ["nope", "", "thread_info.nope", "self.x", "table.x", "pid.", ".pid"] {
        assert_eq!(
            message(btf.offset_of("task_struct", path)),
            format!("this kernel's `task_struct` has no member `{path}`")
        );
    }
    assert_eq!(
        message(btf.offset_of_any("task_struct", &["start_boottime", "real_start_time"])),
        "this kernel's `task_struct` has no member `start_boottime or real_start_time`"
    );
    for (structure, member) in [("task_struct", "bit"), ("old", "narrow"), ("old", "odd")] {
        assert!(
            matches!(btf.offset_of(structure, member), Err(BtfError::Bitfield { .. })),
            "{structure}.{member}"
        );
    }
}

#[test]
fn duplicates_must_agree() {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.offset_of("twin", "a").unwrap(), Field { offset: 0, size: 4 });
    assert_eq!(btf.size_of("twin").unwrap(), 8);
    assert_eq!(
        btf.offset_of("twin", "b").unwrap_err().to_string(),
        "this kernel has several types `twin`, and they differ in where `b` lies"
    );
    // A forward declaration comes before task_struct, and does not count.
    assert!(btf.offset_of("task_struct", "pid").is_ok());
}

#[test]
fn reads_enumerators_of_both_widths() {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.enum_value("pid_type", "PIDTYPE_PGID").unwrap(), 2);
    assert_eq!(btf.enum_value("pid_type", "NEGATIVE").unwrap(), -1);
    assert_eq!(btf.enum_value("unsigned", "PIDTYPE_PID").unwrap(), i64::from(u32::MAX));
    assert_eq!(btf.enum_value("wide", "PIDTYPE_PID").unwrap(), (2 << 32) + 1);
    assert_eq!(btf.enum_value("wide", "PIDTYPE_PGID").unwrap(), -1);
    assert!(matches!(btf.enum_value("wide", "NEGATIVE"), Err(BtfError::MissingMember { .. })));
    assert!(matches!(btf.enum_value("task_struct", "pid"), Err(BtfError::MissingType { .. })));
}

#[test]
fn counts_parameters() {
    let bytes = sample();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.parameters("btf_trace_signal").unwrap(), [None, None, None]);
    assert_eq!(btf.tracepoint_arguments("signal").unwrap(), 2);
    assert_eq!(btf.parameters("helper").unwrap(), [Some("data"), Some("sig")]);
    assert!(btf.has_function("helper"));
    assert!(!btf.has_function("task_struct"));
    assert!(matches!(btf.parameters("thread_info_t"), Err(BtfError::MissingType { .. })));
    assert!(matches!(btf.tracepoint_arguments("none"), Err(BtfError::MissingType { .. })));
}

#[test]
fn refuses_what_it_cannot_read() {
    let good = sample();
    let mutated = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Btf::parse(&bytes).map(|_| ()).unwrap_err()
    };
    let mut swapped = good.clone();
    swapped.swap(0, 1);
    assert!(matches!(Btf::parse(&swapped), Err(BtfError::BigEndian)));
    assert!(matches!(mutated(0, 0), BtfError::Malformed { offset: 0, .. }));
    assert!(matches!(mutated(2, 2), BtfError::Malformed { offset: 2, .. }));
    assert!(matches!(mutated(4, 8), BtfError::Malformed { offset: 4, .. }));
    // The first type's kind.
    assert!(matches!(mutated(24 + 7, 20), BtfError::UnknownKind { offset: 24, kind: 20 }));
    assert!(matches!(mutated(24 + 7, 0), BtfError::UnknownKind { kind: 0, .. }));
    assert!(matches!(Btf::parse(&[]), Err(BtfError::Malformed { .. })));
    for len in 0..good.len() {
        assert!(Btf::parse(&good[..len]).is_err(), "{len} bytes were enough");
    }
}

#[test]
fn cycles_end() {
    let mut w = Writer::new();
    w.add("loop", 8, 0, false, 2, &[]);
    w.add("", 10, 0, false, 1, &[]);
    w.record("holder", 4, false, 8, &[("member", 1, 0)]);
    // A structure that anonymously holds itself, twice: without a bound, 2^depth visits.
    w.record("matryoshka", 4, false, 8, &[("", 4, 0), ("", 4, 0)]);
    w.add("", 2, 0, false, 5, &[]);
    w.add("pointer", 8, 0, false, 5, &[]);
    w.add("", 3, 0, false, 0, &[7, 7, 1]);
    w.record("arrays", 4, false, 8, &[("member", 7, 0)]);
    let mut wide = vec![("", 10, 0); 200];
    wide.push(("", 9, 0));
    w.record("", 4, false, 8, &[("unrelated", 9, 0)]);
    w.record("wide", 4, false, 8, &wide);
    let bytes = w.finish();
    let btf = Btf::parse(&bytes).unwrap();
    for (structure, member) in
        [("holder", "member"), ("matryoshka", "x"), ("arrays", "member"), ("wide", "x")]
    {
        assert!(
            matches!(btf.offset_of(structure, member), Err(BtfError::Malformed { .. })),
            "{structure}.{member}"
        );
    }
    assert!(matches!(btf.parameters("pointer"), Err(BtfError::Malformed { .. })));
    assert!(matches!(btf.parameters("loop"), Err(BtfError::Malformed { .. })));
}

/// Asks everything of a blob; the answers do not matter, only that they come.
fn interrogate(bytes: &[u8]) {
    let Ok(btf) = Btf::parse(bytes) else { return };
    for name in ["task_struct", "twin", "old", "thread_info_t", "pid_type", "wide", "helper"] {
        for path in ["pid", "thread_info.flags", "bit", "narrow", "table", "a", ""] {
            let _ = btf.offset_of(name, path);
        }
        let _ = (btf.size_of(name), btf.enum_value(name, "PIDTYPE_PGID"), btf.parameters(name));
    }
    let _ = (btf.tracepoint_arguments("signal"), btf.has_function("helper"));
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(tail in prop::collection::vec(any::<u8>(), 0..512), valid_start: bool) {
        let mut bytes = if valid_start { sample()[..24].to_vec() } else { Vec::new() };
        bytes.extend(tail);
        interrogate(&bytes);
    }

    #[test]
    fn mutations_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut bytes = sample();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        interrogate(&bytes);
    }

    #[test]
    fn changed_words_do_no_harm(changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u32..64), 1..6)) {
        let mut bytes = sample();
        for (at, word) in changes {
            let at = 24 + at.index((bytes.len() - 24) / 4 - 1) * 4;
            bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        interrogate(&bytes);
    }
}

/// The running kernel's own blob, where there is one.
fn vmlinux() -> Option<Blob> {
    let bytes = Blob::load(Path::new("/sys/kernel/btf/vmlinux")).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED: this kernel offers no /sys/kernel/btf/vmlinux");
    }
    bytes
}

#[test]
fn reads_the_running_kernel() {
    let Some(bytes) = vmlinux() else { return };
    let btf = Btf::parse(&bytes).unwrap();
    let pid = btf.offset_of("task_struct", "pid").unwrap();
    assert_eq!(btf.offset_of("task_struct", "tgid").unwrap(), Field { offset: pid.offset + 4, size: 4 });
    assert_eq!(btf.offset_of("task_struct", "comm").unwrap().size, 16);
    assert_eq!(btf.offset_of("task_struct", "signal").unwrap().size, 8);
    assert_eq!(btf.offset_of("list_head", "prev").unwrap(), Field { offset: 8, size: 8 });
    let dentry = btf.offset_of("file", "f_path.dentry").unwrap();
    assert_eq!(dentry.offset, btf.offset_of("file", "f_path").unwrap().offset + 8);
    btf.offset_of_any("task_struct", &["start_boottime", "real_start_time"]).unwrap();
    // In an anonymous structure inside an anonymous union.
    btf.offset_of("mm_struct", "arg_start").unwrap();
    assert_eq!(btf.enum_value("pid_type", "PIDTYPE_PID").unwrap(), 0);
    assert!(btf.tracepoint_arguments("signal_generate").unwrap() == 5);
    assert!((1..=3).contains(&btf.tracepoint_arguments("sched_process_exit").unwrap()));
    assert!(btf.has_function("do_exit"));
    assert!(matches!(btf.offset_of("task_struct", "sched_reset_on_fork"), Err(BtfError::Bitfield { .. })));
}

#[test]
fn truncated_and_mutated_kernel_blobs_do_no_harm() {
    let Some(bytes) = vmlinux() else { return };
    let mut generator = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        generator ^= generator << 13;
        generator ^= generator >> 7;
        generator ^= generator << 17;
        generator as usize
    };
    for round in 0..24 {
        let mut mutated = bytes.to_vec();
        if round % 3 == 0 {
            mutated.truncate(next() % bytes.len());
        }
        for _ in 0..200 {
            let at = next() % mutated.len().max(1);
            if let Some(byte) = mutated.get_mut(at) {
                *byte = next() as u8;
            }
        }
        interrogate(&mutated);
    }
}
