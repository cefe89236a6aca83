//! Whatever the bytes are, decoding neither panics nor reads beyond them; what was recorded comes out as it went in.

use forensics_common::{
    ExecEntry, ExecRecord, ExitRecord, ForkRecord, Header, Kind, MAX_ANCESTORS, MAX_CMDLINE, MAX_FRAMES,
    RequestRecord, SignalRecord, Stream, exec_flags, request_flags, signal_flags,
};
use proptest::prelude::*;

use super::{DecodeError, Record, decode};

/// Size of the largest record.
const LARGEST: usize = size_of::<SignalRecord>();

/// Bytes of a record whose fields are set by `fill`; all others are zero.
fn record<T>(kind: Kind, fill: impl FnOnce(&mut T)) -> Vec<u8> {
    const { assert!(!std::mem::needs_drop::<T>()) };
    // SAFETY: `T` is one of the wire records, integers and arrays of integers only.
    let mut value: T = unsafe { std::mem::zeroed() };
    fill(&mut value);
    // SAFETY: wire records have no padding, so that all their bytes are initialised.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const value).cast::<u8>(), size_of::<T>()) };
    let mut bytes = bytes.to_vec();
    let header = std::mem::offset_of!(Header, kind);
    bytes[header..header + 4].copy_from_slice(&(kind as u32).to_ne_bytes());
    bytes
}

fn signal(fill: impl FnOnce(&mut SignalRecord)) -> Vec<u8> {
    record(Kind::Signal, fill)
}

#[test]
fn a_signal_comes_out_as_it_went_in() {
    let bytes = signal(|record| {
        record.header.boot_ns = 77;
        record.header.seq = 5;
        record.header.cpu = 1;
        record.signal = 9;
        record.code = -6;
        record.group = 1;
        record.flags = signal_flags::CGROUP_COMPLETE | signal_flags::HAVE_REGS;
        record.syscall_nr = 62;
        record.target.tgid = 42;
        record.current.tgid = 43;
        record.ancestor_count = 1;
        record.ancestors[0].tgid = 44;
        record.frame_count = 2;
        record.stack[1] = 0xffff_ffff_8100_0000;
        record.cgroup_path[..12].copy_from_slice(b"x.service\0a\0");
        record.cgroup_path_len = 12;
        record.cmdline[..8].copy_from_slice(b"kill\0-9\0");
        record.cmdline_len = 8;
        record.cmdline_full_len = 9;
    });
    let (position, decoded) = decode(&bytes).expect("it is a record");
    assert_eq!((position.cpu, position.stream, position.seq), (1, Stream::Signal as u32, 5));
    let Record::Signal(event) = decoded else { panic!("not a signal: {decoded:?}") };
    assert_eq!((event.boot_ns, event.signal, event.code, event.group), (77, 9, -6, true));
    assert_eq!(event.syscall.map(|(number, _)| number), Some(62));
    assert_eq!((event.target.tgid, event.current.tgid), (42, 43));
    assert_eq!(event.ancestors.iter().map(|ancestor| ancestor.tgid).collect::<Vec<_>>(), [44]);
    assert_eq!(event.stack, [0, 0xffff_ffff_8100_0000]);
    assert_eq!(event.cgroup.as_deref(), Some("/a/x.service"));
    let cmdline = event.cmdline.expect("it has one");
    assert_eq!((cmdline.argv(), cmdline.truncated), (vec!["kill".to_owned(), "-9".to_owned()], true));
}

#[test]
fn a_request_comes_out_as_it_went_in() {
    let bytes = record::<RequestRecord>(Kind::Request, |record| {
        record.header.stream = Stream::Request as u32;
        record.header.boot_ns = 78;
        record.sender.tgid = 43;
        record.flags = request_flags::CGROUP_COMPLETE | request_flags::AFTERWARDS;
        record.listener = 1;
        record.socket_path[..8].copy_from_slice(b"/run/a\0x");
        record.socket_path_len = 8;
        record.message[..3].copy_from_slice(b"l\x01\0");
        record.message_len = 3;
        record.cmdline[..5].copy_from_slice(b"a\0b\0c");
        record.cmdline_len = 5;
        record.cmdline_full_len = 5;
    });
    let (position, decoded) = decode(&bytes).expect("it is a record");
    assert_eq!(position.stream, Stream::Request as u32);
    let Record::Request(event) = decoded else { panic!("not a request: {decoded:?}") };
    assert_eq!((event.boot_ns, event.sender.tgid, event.listener, event.afterwards), (78, 43, Some(1), true));
    assert_eq!((event.socket.as_str(), &event.message[..]), ("/run/a", &b"l\x01\0"[..]));
    assert_eq!(event.cgroup.as_deref(), Some("/"));
    let cmdline = event.cmdline.expect("it has one");
    assert_eq!((cmdline.argv(), cmdline.truncated), (["a", "b", "c"].map(str::to_owned).to_vec(), false));
    let refused = record::<RequestRecord>(Kind::Request, |record| {
        record.header.stream = Stream::Request as u32;
        record.message_len = 1025;
    });
    assert_eq!(decode(&refused).err(), Some(DecodeError::OutOfRange { field: "message", value: 1025 }));
}

#[test]
fn what_is_flagged_as_unread_is_absent() {
    let bytes = signal(|_| {});
    let Ok((_, Record::Signal(event))) = decode(&bytes) else { panic!("it is a signal") };
    assert_eq!((event.siginfo, event.syscall, event.user_ip), (None, None, None));
    assert!(event.cgroup.is_none() && event.cmdline.is_none());

    let bytes = record::<ExitRecord>(Kind::Exit, |record| {
        record.signals = u64::MAX;
        record.status_missing = 1;
        record.wait_status = 9;
    });
    let Ok((_, Record::Exit(event))) = decode(&bytes) else { panic!("it is an exit") };
    assert_eq!((event.signals, event.wait_status, event.caller), (None, None, None));
}

#[test]
fn who_called_for_the_end() {
    let bytes = record::<ExitRecord>(Kind::Exit, |record| {
        record.caller.tid = 43;
        record.caller.comm[..7].copy_from_slice(b"worker\0");
    });
    let Ok((_, Record::Exit(event))) = decode(&bytes) else { panic!("it is an exit") };
    assert_eq!(event.caller, Some((43, "worker".to_owned())));
}

#[test]
fn counts_beyond_their_arrays_are_refused() {
    let refused = |fill: fn(&mut SignalRecord)| decode(&signal(fill)).err();
    let out_of_range = |field, value| Some(DecodeError::OutOfRange { field, value });
    assert_eq!(
        refused(|record| record.frame_count = MAX_FRAMES as u32 + 1),
        out_of_range("stack", MAX_FRAMES as u32 + 1)
    );
    assert_eq!(
        refused(|record| record.ancestor_count = MAX_ANCESTORS as u32 + 1),
        out_of_range("ancestry", MAX_ANCESTORS as u32 + 1)
    );
    assert_eq!(refused(|record| record.cmdline_len = MAX_CMDLINE as u32 + 1), out_of_range("cmdline", 4097));
    assert_eq!(refused(|record| record.cgroup_path_len = u32::MAX), out_of_range("cgroup path", u32::MAX));
}

#[test]
fn a_kind_that_is_unknown_is_refused() {
    let mut bytes = signal(|_| {});
    let at = std::mem::offset_of!(Header, kind);
    bytes[at..at + 4].copy_from_slice(&99u32.to_ne_bytes());
    assert_eq!(decode(&bytes).err(), Some(DecodeError::UnknownKind(99)));
}

#[test]
fn a_record_that_was_cut_short_is_refused() {
    let whole = [
        signal(|record| record.cmdline_len = MAX_CMDLINE as u32),
        record::<ExitRecord>(Kind::Exit, |_| {}),
        record::<ForkRecord>(Kind::Fork, |_| {}),
        record::<ExecRecord>(Kind::Exec, |record| {
            record.entry.flags = exec_flags::PATH_COMPLETE;
            record.entry.cmdline_len = record.entry.cmdline.len() as u32;
        }),
    ];
    for bytes in whole {
        assert!(decode(&bytes).is_ok());
        // An exec record may end with padding behind its command line.
        let needed = if bytes.len() == size_of::<ExecRecord>() {
            std::mem::offset_of!(ExecRecord, entry)
                + std::mem::offset_of!(ExecEntry, cmdline)
                + forensics_common::MAX_LEDGER_CMDLINE
        } else {
            bytes.len()
        };
        for len in (0..needed).step_by(7).chain([needed - 1]) {
            assert_eq!(decode(&bytes[..len]).err(), Some(DecodeError::Truncated { len }));
        }
    }
}

proptest! {
    /// The header is made plausible, so that every decoder is reached.
    #[test]
    fn no_bytes_make_it_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..LARGEST + 64),
        kind in 0u32..8,
        stream in 0u32..8,
    ) {
        let fields = [
            (std::mem::offset_of!(Header, kind), kind),
            (std::mem::offset_of!(Header, stream), stream),
            (std::mem::offset_of!(Header, len), bytes.len() as u32),
        ];
        for (at, value) in fields {
            if let Some(field) = bytes.get_mut(at..at + 4) {
                field.copy_from_slice(&value.to_ne_bytes());
            }
        }
        let _ = decode(&bytes);
    }

    /// Records that are right but for one word.
    #[test]
    fn no_word_makes_it_panic(at in 0..LARGEST / 4, word in any::<u32>(), cut in 0..LARGEST) {
        for mut bytes in [
            signal(|record| record.flags = u32::MAX),
            record::<ExitRecord>(Kind::Exit, |_| {}),
            record::<ExecRecord>(Kind::Exec, |record| record.entry.flags = exec_flags::PATH_COMPLETE),
            record::<RequestRecord>(Kind::Request, |record| record.flags = u32::MAX),
        ] {
            if let Some(field) = bytes.get_mut(at * 4..at * 4 + 4) {
                field.copy_from_slice(&word.to_ne_bytes());
            }
            bytes.truncate(bytes.len().max(cut) - cut.min(bytes.len() / 2));
            if let Ok((_, Record::Signal(event))) = decode(&bytes) {
                let _ = event.cmdline.map(|cmdline| cmdline.argv());
            }
        }
    }
}
