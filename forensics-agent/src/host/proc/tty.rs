/// The name beneath `/dev` of the terminal that `tty_nr` of `/proc/PID/stat` encodes, as `pts/0`; none for 0.
///
/// Encoding: `new_encode_dev` of `include/linux/kdev_t.h`. Majors: `Documentation/admin-guide/devices.txt`.
/// A terminal of another driver is given as `MAJOR:MINOR`.
pub fn tty_name(tty_nr: u32) -> Option<String> {
    let major = (tty_nr >> 8) & 0xfff;
    let minor = (tty_nr & 0xff) | ((tty_nr >> 12) & 0xf_ff00);
    let name = match (major, minor) {
        (0, 0) => return None,
        (4, 0..=63) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        (5, 0) => "tty".to_owned(),
        (5, 1) => "console".to_owned(),
        // 136 alone has held every pty since Linux 2.6; the others are its successors of older numbering.
        (136..=143, _) => format!("pts/{}", minor + (major - 136) * 256),
        (166, _) => format!("ttyACM{minor}"),
        (188, _) => format!("ttyUSB{minor}"),
        (204, 64..=79) => format!("ttyAMA{}", minor - 64),
        (229, _) => format!("hvc{minor}"),
        _ => format!("{major}:{minor}"),
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let encode = |major: u32, minor: u32| (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12);
        for (major, minor, name) in [
            (4, 1, "tty1"),
            (4, 64, "ttyS0"),
            (4, 65, "ttyS1"),
            (5, 1, "console"),
            (136, 0, "pts/0"),
            (136, 4096, "pts/4096"),
            (229, 0, "hvc0"),
            (250, 3, "250:3"),
        ] {
            assert_eq!(tty_name(encode(major, minor)).as_deref(), Some(name));
        }
        assert_eq!(tty_name(0), None);
        assert_eq!(tty_name(34816).as_deref(), Some("pts/0"));
    }
}
