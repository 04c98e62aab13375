// The channel (docs/spec/channel.md) once more: the short forms of version 2 read and written, those that are
// wrong refused, and a handshake followed from its hellos to its welcome.

import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'

const HASH = 8
const SHORT = 8
const MOST_LISTS = 256
const MOST_ANNOUNCED = 2048
const MOST_PARTS = 264
const MOST_GRAFTED = 256
const MOST_WANTED = 16384
const COUNT = 2 ** 40
const TIME = 2 ** 48
const MOST_BYTES = { a: 32768, g: 4096, x: 1024, p: 262144, w: 524288, c: 1024, s: 1024 }
const bytes = hex => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = data => Buffer.from(data).toString('hex')
const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest()
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other)

class Refused extends Error {}

function must (condition, error = 'BAD_MESSAGE') {
  if (!condition) throw new Refused(error)
}

function binary (value, least, most = least) {
  must(value instanceof Uint8Array && value.length >= least && value.length <= most)
  return value
}

function integer (value, least, most) {
  must(Number.isInteger(value) && value >= least && value <= most)
  return value
}

function flag (value) {
  must(value === undefined || typeof value === 'boolean')
  return value ?? false
}

function list (value, most) {
  must(value === undefined || (Array.isArray(value) && value.length <= most))
  return value ?? []
}

function cut (data, size) {
  must(data.length % size === 0)
  return hex(data).match(new RegExp(`.{${2 * size}}`, 'g')) ?? []
}

function floor (value) {
  must(Array.isArray(value) && value.length === 3 && CID.asCID(value[2]) !== null)
  return { type: 'wantentry', author: hex(binary(value[0], HASH)), floor: [integer(value[1], 0, TIME), hex(value[2].bytes)] }
}

const readers = {
  a ({ d }) {
    const lists = []
    let parts = 0
    binary(d, 0, Infinity)
    for (let at = 0; at < d.length; parts++) {
      const end = at + 2 + HASH + d[at] * SHORT
      must(d[at] > 0 && end <= d.length)
      const part = { type: 'announced', author: hex(d.subarray(at + 2, at + 2 + HASH)), shorts: cut(d.subarray(at + 2 + HASH, end), SHORT), hops: d[at + 1] }
      const last = lists.at(-1)
      if (last?.author === part.author && last.hops === part.hops) last.shorts.push(...part.shorts)
      else lists.push(part)
      at = end
    }
    must(parts <= MOST_PARTS && lists.length <= MOST_LISTS)
    must(lists.flatMap(part => part.shorts).length <= MOST_ANNOUNCED)
    return { type: 'announce', lists }
  },
  g ({ d }) {
    binary(d, 1 + HASH, 1 + HASH + MOST_GRAFTED * SHORT)
    return { type: 'graft', author: hex(d.subarray(1, 1 + HASH)), shorts: cut(d.subarray(1 + HASH), SHORT), tree: integer(d[0], 0, 2) }
  },
  x ({ d }) {
    binary(d, 1 + HASH)
    return { type: 'prune', author: hex(d.subarray(1)), tree: integer(d[0], 1, 2) }
  },
  p ({ a, b, h }) {
    const blocks = list(b, 512).map(block => hex(binary(block, 1, 16384)))
    return { type: 'push', author: hex(binary(a, HASH)), blocks, hops: integer(h ?? 0, 0, 255) }
  },
  w ({ n, b, a, f, d, m }) {
    const hashes = data => data === undefined ? [] : cut(binary(data, 0, MOST_WANTED * HASH), HASH)
    const add = [...hashes(a).map(author => ({ type: 'wantentry', author, floor: null })), ...list(f, MOST_WANTED).map(floor)]
    must(add.length <= MOST_WANTED)
    return { type: 'want', number: integer(n, 1, COUNT), base: integer(b ?? 0, 0, COUNT), add, drop: hashes(d), more: flag(m) }
  },
  c ({ n, a, m, y, o }) {
    return { type: 'compare', number: integer(n, 1, COUNT), at: integer(a, 0, TIME), mine: integer(m, 0, COUNT), yours: integer(y, 0, COUNT), root: hex(binary(o, 16)) }
  },
  s: ({ n }) => ({ type: 'same', number: integer(n, 1, COUNT) })
}

function read (frame) {
  const fields = dagCbor.decode(frame)
  must(frame.length <= MOST_BYTES[fields.t], 'TOO_LARGE')
  return readers[fields.t](fields)
}

const joined = parts => bytes(parts.join(''))
const byte = value => hex([value])
const link = data => CID.decode(bytes(data))

function writeParts (lists) {
  const parts = []
  for (const { author, shorts, hops } of lists) {
    for (let at = 0; at < shorts.length; at += 255) {
      const some = shorts.slice(at, at + 255)
      parts.push(byte(some.length), byte(hops), author, ...some)
    }
  }
  return joined(parts)
}

const writers = {
  announce: x => ({ t: 'a', d: writeParts(x.lists) }),
  graft: x => ({ t: 'g', d: joined([byte(x.tree), x.author, ...x.shorts]) }),
  prune: x => ({ t: 'x', d: joined([byte(x.tree), x.author]) }),
  push: x => ({ t: 'p', a: bytes(x.author), b: x.blocks.map(bytes), ...(x.hops && { h: x.hops }) }),
  want (x) {
    const plain = x.add.filter(entry => entry.floor === null).map(entry => entry.author)
    const floors = x.add.filter(entry => entry.floor !== null).map(e => [bytes(e.author), e.floor[0], link(e.floor[1])])
    return {
      t: 'w',
      n: x.number,
      ...(x.base && { b: x.base }),
      ...(plain.length && { a: joined(plain) }),
      ...(floors.length && { f: floors }),
      ...(x.drop.length && { d: joined(x.drop) }),
      ...(x.more && { m: true })
    }
  },
  compare: x => ({ t: 'c', n: x.number, a: x.at, m: x.mine, y: x.yours, o: bytes(x.root) }),
  same: x => ({ t: 's', n: x.number })
}

// The long form, whose names say what is what.
const longWriters = {
  announce: x => ({ lists: x.lists.map(part => [bytes(part.author), joined(part.shorts), part.hops]) }),
  graft: x => ({ author: bytes(x.author), shorts: joined(x.shorts), tree: x.tree }),
  prune: x => ({ author: bytes(x.author), tree: x.tree }),
  push: x => ({ author: bytes(x.author), blocks: x.blocks.map(bytes), ...(x.hops && { hops: x.hops }) }),
  want: x => ({
    number: x.number,
    base: x.base,
    add: x.add.map(({ author, floor }) => floor === null ? [bytes(author)] : [bytes(author), floor[0], link(floor[1])]),
    drop: x.drop.map(bytes),
    more: x.more
  }),
  compare: x => ({ n: x.number, at: x.at, mine: x.mine, yours: x.yours, root: bytes(x.root) }),
  same: x => ({ n: x.number })
}

export function checkChannel (vectors, check, { holds, verifies }) {
  for (const { name, message, version_1: long, version_2: short } of vectors.messages) {
    check(same(read(bytes(short)), message), `${name}: its short form says something else`)
    check(hex(dagCbor.encode(writers[message.type](message))) === short, `${name}: another short form`)
    check(hex(dagCbor.encode({ t: message.type, ...longWriters[message.type](message) })) === long, `${name}: another long form`)
  }
  for (const { name, frame, message } of vectors.also_read) {
    check(same(read(bytes(frame)), message), `${name}: is read otherwise`)
  }
  for (const { name, frame, error } of vectors.malformed) {
    let refusal = null
    try { read(bytes(frame)) } catch (refused) {
      if (!(refused instanceof Refused)) throw refused
      refusal = refused.message
    }
    check(refusal === error, `${name}: ${refusal ?? 'is taken for valid'}`)
  }
  checkHandshake(vectors.handshake, check, holds, verifies)
}

function checkHandshake (vector, check, holds, verifies) {
  const frames = [bytes(vector.client_hello), bytes(vector.server_hello)]
  const [client, server] = frames.map(frame => dagCbor.decode(frame))
  check(client.t === 'hello' && server.t === 'hello', 'the hellos')
  const version = Math.min(client.greatest, server.greatest)
  check(version === vector.version && version >= Math.max(client.least, server.least), 'the version')
  const domain = Buffer.from('pkn channel v1\n')
  const transcript = sha256(domain, ...frames.map(frame => sha256(frame)))
  check(hex(transcript) === vector.transcript, 'another transcript')
  const signed = role => Buffer.concat([domain, Buffer.from(role), client.device, server.device,
    client.author, server.author, client.nonce, server.nonce, transcript])
  check(hex(signed('client')) === vector.signed_by_client, 'the client signs something else')
  check(hex(signed('server')) === vector.signed_by_server, 'the server signs something else')
  const joins = (hello, block) => {
    const record = dagCbor.decode(block)
    return record.kind === 'device' && verifies(record) && hex(record.by) === hex(hello.author) &&
      hex(record.author) === hex(hello.author) && hex(record.device) === hex(hello.device)
  }
  for (const name of ['with_record', 'without_record']) {
    const proof = dagCbor.decode(bytes(vector[name].proof))
    const welcome = dagCbor.decode(bytes(vector[name].welcome))
    check(proof.t === 'proof' && holds(proof.sig, signed('client'), client.device), `${name}: the client's signature`)
    check(welcome.t === 'welcome' && holds(welcome.sig, signed('server'), server.device), `${name}: the server's signature`)
    check(joins(client, proof.record), `${name}: the client's device record`)
    check(proof.token.length === 32 && welcome.token.length === 32, `${name}: the tokens`)
    if (name === 'with_record') check(proof.knows === undefined && joins(server, welcome.record), 'the server\'s device record')
    else check(proof.knows === true && welcome.record === undefined, 'a record that is known is sent')
  }
}
