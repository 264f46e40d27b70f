/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is used of the header of that name of libbpf. */
#pragma once

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "written for the byte order of x86 and arm64"
#endif
#define bpf_ntohs(number) __builtin_bswap16(number)
#define bpf_htons(number) __builtin_bswap16(number)
#define bpf_ntohl(number) __builtin_bswap32(number)
#define bpf_htonl(number) __builtin_bswap32(number)
#define bpf_cpu_to_be64(word) ((u64)__builtin_bswap64(word))
#define bpf_be64_to_cpu(word) ((u64)__builtin_bswap64(word))
