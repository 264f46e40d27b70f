//! The smallest programs there are: no loader, no library, and the very first instructions leave a trace. What leaves
//! none has not run one of them.

/// `creat(argv[1])`, then `exit(0)`, for x86-64.
pub fn creator64() -> Vec<u8> {
    elf64(&[
        0x48, 0x8b, 0x7c, 0x24, 0x10, // mov rdi, [rsp+16]
        0xbe, 0xa4, 0x01, 0x00, 0x00, // mov esi, 0644
        0xb8, 0x55, 0x00, 0x00, 0x00, // mov eax, 85 (creat)
        0x0f, 0x05, // syscall
        0x31, 0xff, // xor edi, edi
        0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, 60 (exit)
        0x0f, 0x05, // syscall
    ])
}

/// `creat(argv[1])`, then `exit(0)`, for i386.
pub fn creator32() -> Vec<u8> {
    elf32(&[
        0x8b, 0x5c, 0x24, 0x08, // mov ebx, [esp+8]
        0xb9, 0xa4, 0x01, 0x00, 0x00, // mov ecx, 0644
        0xb8, 0x08, 0x00, 0x00, 0x00, // mov eax, 8 (creat)
        0xcd, 0x80, // int 0x80
        0x31, 0xdb, // xor ebx, ebx
        0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, 1 (exit)
        0xcd, 0x80, // int 0x80
    ])
}

/// Connects to an IPv4 address over TCP, then exits with the error's number, for i386.
pub fn connector32(address: [u8; 4], port: u16) -> Vec<u8> {
    let mut code = vec![
        0xbb, 0x02, 0x00, 0x00, 0x00, // mov ebx, 2 (AF_INET)
        0xb9, 0x01, 0x00, 0x00, 0x00, // mov ecx, 1 (SOCK_STREAM)
        0x31, 0xd2, // xor edx, edx
        0xb8, 0x67, 0x01, 0x00, 0x00, // mov eax, 359 (socket)
        0xcd, 0x80, // int 0x80
        0x89, 0xc3, // mov ebx, eax
        0x6a, 0x00, // push 0
        0x6a, 0x00, // push 0
        0x68, // push the address
    ];
    code.extend(address);
    code.extend([0x68, 0x02, 0x00]); // push the port and the family
    code.extend(port.to_be_bytes());
    code.extend([
        0x89, 0xe1, // mov ecx, esp
        0xba, 0x10, 0x00, 0x00, 0x00, // mov edx, 16
        0xb8, 0x6a, 0x01, 0x00, 0x00, // mov eax, 362 (connect)
        0xcd, 0x80, // int 0x80
        0xf7, 0xd8, // neg eax
        0x89, 0xc3, // mov ebx, eax
        0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, 1 (exit)
        0xcd, 0x80, // int 0x80
    ]);
    elf32(&code)
}

/// Writes one byte to standard output, then `exit(0)`; for i386 where `narrow`, else for x86-64.
pub fn writer(narrow: bool) -> Vec<u8> {
    if narrow {
        elf32(&[
            0x54, // push esp: any byte will do
            0x89, 0xe1, // mov ecx, esp
            0xbb, 0x01, 0x00, 0x00, 0x00, // mov ebx, 1
            0xba, 0x01, 0x00, 0x00, 0x00, // mov edx, 1
            0xb8, 0x04, 0x00, 0x00, 0x00, // mov eax, 4 (write)
            0xcd, 0x80, // int 0x80
            0x31, 0xdb, // xor ebx, ebx
            0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, 1 (exit)
            0xcd, 0x80, // int 0x80
        ])
    } else {
        elf64(&[
            0x48, 0x89, 0xe6, // mov rsi, rsp
            0xbf, 0x01, 0x00, 0x00, 0x00, // mov edi, 1
            0xba, 0x01, 0x00, 0x00, 0x00, // mov edx, 1
            0xb8, 0x01, 0x00, 0x00, 0x00, // mov eax, 1 (write)
            0x0f, 0x05, // syscall
            0x31, 0xff, // xor edi, edi
            0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, 60 (exit)
            0x0f, 0x05, // syscall
        ])
    }
}

const BASE: u32 = 0x0040_0000;

fn header(class: u8, machine: u16) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', class, 1, 1, 0];
    bytes.extend([0; 8]);
    bytes.extend(2u16.to_le_bytes()); // an executable at a fixed address
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes
}

fn elf64(code: &[u8]) -> Vec<u8> {
    const HEADERS: u32 = 64 + 56;
    let size = u64::from(HEADERS) + code.len() as u64;
    let mut bytes = header(2, 62);
    bytes.extend(u64::from(BASE + HEADERS).to_le_bytes()); // entry
    bytes.extend(64u64.to_le_bytes()); // program headers
    bytes.extend(0u64.to_le_bytes()); // no sections
    bytes.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1u32.to_le_bytes()); // PT_LOAD
    bytes.extend(5u32.to_le_bytes()); // read, execute
    for word in [0, u64::from(BASE), u64::from(BASE), size, size, 4096] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}

fn elf32(code: &[u8]) -> Vec<u8> {
    const HEADERS: u32 = 52 + 32;
    let size = HEADERS + u32::try_from(code.len()).unwrap_or(0);
    let mut bytes = header(1, 3);
    for word in [BASE + HEADERS, 52, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    for half in [52u16, 32, 1, 0, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    for word in [1, 0, BASE, BASE, size, size, 5, 4096] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}
