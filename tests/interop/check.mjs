// Reads the vector files with other people's libraries: decodes, re-encodes, verifies, opens what is sealed;
// then writes records of its own for Python to read. SPEC.md is all that it follows.
//
//   node check.mjs VECTORS_FOLDER OUTPUT_FILE

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { base58btc } from 'multiformats/bases/base58'
import { createRequire } from 'node:module'
import { blake2b } from '@noble/hashes/blake2b'
import { ed25519 } from '@noble/curves/ed25519'
import { checkChannel } from './channel.mjs'
import { checkReconciliation } from './reconciliation.mjs'

// Its module for import names a file that is not in the package; the one for require is whole.
const sodium = createRequire(import.meta.url)('libsodium-wrappers')
await sodium.ready
const [folder, output] = process.argv.slice(2)
const read = name => JSON.parse(readFileSync(join(folder, name), 'utf8'))
const bytes = hex => Uint8Array.from(Buffer.from(hex, 'hex'))
const same = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0
const domain = Buffer.from('pkn record v1\n')
let checks = 0

function check (condition, what) {
  if (!condition) throw new Error(`interop: ${what}`)
  checks += 1
}

const cidOf = (block, codec = 0x71) =>
  CID.createV1(codec, Digest.create(0x12, createHash('sha256').update(block).digest()))

const didKey = key => 'did:key:' + base58btc.encode(Uint8Array.from([0xed, 0x01, ...key]))

// BLAKE2b with key and personalisation, as libsodium has it; SPEC names the 16 bytes.
const keyed = (dkLen, message, key, personalization) => blake2b(message, { dkLen, key, personalization })

// Strict: a key outside of the prime-order group makes verifiers disagree, so it is no key.
function isPrimeOrder (key) {
  try {
    const point = ed25519.ExtendedPoint.fromHex(key)
    return point.isTorsionFree() && !point.isSmallOrder()
  } catch { return false }
}

function verifies (record) {
  const { sig, ...unsigned } = record
  const message = Buffer.concat([domain, dagCbor.encode(unsigned)])
  return sodium.crypto_sign_verify_detached(sig, message, record.by)
}

for (const vector of read('records-valid.json')) {
  const block = bytes(vector.block)
  const record = dagCbor.decode(block)
  check(same(dagCbor.encode(record), block), `${vector.name}: re-encodes to other bytes`)
  check(cidOf(block).toString() === vector.id, `${vector.name}: another id`)
  check(didKey(record.author) === vector.author, `${vector.name}: another author`)
  check(verifies(record), `${vector.name}: the signature does not hold`)
}

for (const vector of read('records-invalid.json')) {
  if (vector.error !== 'bad-signature' && vector.error !== 'bad-encoding') continue
  const block = bytes(vector.block)
  let valid = false
  try {
    const record = dagCbor.decode(block)
    valid = same(dagCbor.encode(record), block) && record.sig !== undefined &&
      isPrimeOrder(record.by) && verifies(record) && !holdsForbidden(record)
  } catch { valid = false }
  check(!valid, `${vector.name}: is taken for valid`)
}

function holdsForbidden (value, depth = 0) {
  if (depth > 16 || value === null || (typeof value === 'number' && !Number.isInteger(value))) return true
  if (Array.isArray(value)) return value.some(part => holdsForbidden(part, depth + 1))
  if (typeof value === 'object' && !(value instanceof Uint8Array) && !CID.asCID(value)) {
    return Object.values(value).some(part => holdsForbidden(part, depth + 1))
  }
  return false
}

const mebibyte = 1024 * 1024
for (const vector of read('payloads.json')) {
  const data = new Uint8Array(vector.size)
  for (let at = 0; at < Math.min(1000, vector.size); at++) data[at] = at * 7 % 251
  let level = []
  for (let at = 0; at < Math.max(1, vector.size); at += mebibyte) {
    const leaf = data.subarray(at, at + mebibyte)
    level.push([cidOf(leaf, 0x55), leaf.length])
  }
  const manifests = []
  while (level.length > 1) {
    const above = []
    for (let at = 0; at < level.length; at += 1024) {
      const part = level.slice(at, at + 1024)
      const block = dagCbor.encode({ v: 1, entries: part })
      manifests.push(Buffer.from(block).toString('hex'))
      above.push([cidOf(block), part.reduce((sum, entry) => sum + entry[1], 0)])
    }
    level = above
  }
  check(level[0][0].toString() === vector.root, `payload of ${vector.size}: another root`)
  check(JSON.stringify(manifests) === JSON.stringify(vector.manifests), `payload of ${vector.size}: other manifests`)
}

const circle = read('circles.json')
const grant = dagCbor.decode(bytes(circle.grant))
check(verifies(grant), 'the grant does not verify')
const pair = sodium.crypto_sign_seed_keypair(bytes(circle.member_seed))
const secret = sodium.crypto_sign_ed25519_sk_to_curve25519(pair.privateKey)
const publicKey = sodium.crypto_sign_ed25519_pk_to_curve25519(pair.publicKey)
let epoch = null
for (let at = 0; at < grant.boxes.length; at += 80) {
  try {
    epoch = sodium.crypto_box_seal_open(grant.boxes.subarray(at, at + 80), publicKey, secret)
  } catch { /* for somebody else */ }
}
check(epoch !== null && same(epoch, bytes(circle.epoch)), 'the grant does not open for its member')

const sealed = dagCbor.decode(bytes(circle.sealed))
check(verifies(sealed), 'the sealed record does not verify')
const recordKey = keyed(32, sealed.nonce, epoch, 'pkn record key 1')
const time = Buffer.alloc(8)
time.writeBigUInt64BE(BigInt(sealed.time))
const associated = Buffer.concat([sealed.author, time, sealed.tag])
const opened = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed.box, associated, sealed.nonce, recordKey)
check(same(opened, bytes(circle.inner)), 'the sealed record holds another one')
const nothing = new Uint8Array(0)
check(same(keyed(16, nothing, epoch, 'pkn circle tag 1'), bytes(circle.tag)), 'another tag')
check(same(keyed(32, nothing, recordKey, 'pkn commitment 1'), sealed.commitment), 'another commitment')
const shown = Buffer.concat([bytes(circle.transcript), Buffer.from('client')])
check(same(keyed(32, shown, epoch, 'pkn membership 1'), bytes(circle.client_proof)), 'another proof of membership')
const chunk = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
  null, bytes(circle.chunk_0), Buffer.from('pkn payload chunk v1'), new Uint8Array(24), bytes(circle.payload_key))
check(same(chunk, bytes(circle.chunk_0_plaintext)), 'the sealed chunk holds other bytes')

checkReconciliation(read('reconciliation.json'), check)
const holds = (signature, message, key) => isPrimeOrder(key) && sodium.crypto_sign_verify_detached(signature, message, key)
checkChannel(read('channel.json'), check, { holds, verifies })

// The other way round: records made here.
const authorPair = sodium.crypto_sign_seed_keypair(Buffer.alloc(32, 1))
const devicePair = sodium.crypto_sign_seed_keypair(Buffer.alloc(32, 2))
function make (fields) {
  const unsigned = { v: 1, author: authorPair.publicKey, by: devicePair.publicKey, time: 1764000000000, ...fields }
  const message = Buffer.concat([domain, dagCbor.encode(unsigned)])
  const block = dagCbor.encode({ ...unsigned, sig: sodium.crypto_sign_detached(message, devicePair.privateKey) })
  return { block: Buffer.from(block).toString('hex'), id: cidOf(block).toString() }
}
const first = make({ kind: 'note', title: 'Written in another language', tags: ['interop'] })
const written = [
  first,
  make({ kind: 'bookmark', title: 'A link', url: 'https://example.org/', links: [CID.parse(first.id)] }),
  make({ kind: 'rating', about: CID.parse(first.id), item: CID.parse(first.id), value: 4 }),
  make({ kind: 'profile', name: 'Нода' }),
  make({ kind: 'sculpture', mass: 7, parts: [1, [2, { three: Uint8Array.from([1, 0x71, 0x12, 0x20]) }]] })
]
writeFileSync(output, JSON.stringify(written))
console.log(`${checks} checks passed, ${written.length} records written`)
