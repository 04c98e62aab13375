// Reconciliation (docs/spec/reconciliation.md) once more: symbols made and solved with BigInt, hashes of rows,
// and a recorded comparison followed frame by frame.

import { createHash } from 'node:crypto'
import * as dagCbor from '@ipld/dag-cbor'
import { blake2b } from '@noble/hashes/blake2b'

const MASK = (1n << 64n) - 1n
const MOST_SYMBOLS = 1n << 17n
const SYMBOL_BYTES = 17
const CODE = 0
const SHORT = 1
const bytes = hex => Uint8Array.from(Buffer.from(hex, 'hex'))
const hex = data => Buffer.from(data).toString('hex')
const number = data => Buffer.from(data).readBigUInt64LE()
const little = value => { const data = Buffer.alloc(8); data.writeBigUInt64LE(value); return data }
const big = value => { const data = Buffer.alloc(8); data.writeBigUInt64BE(BigInt(value)); return data }
const sorted = list => JSON.stringify([...list].sort())
const rotated = (x, bits) => ((x << bits) | (x >> (64n - bits))) & MASK

function siphash (key, item) {
  const k0 = number(key.subarray(0, 8))
  const k1 = number(key.subarray(8))
  let v0 = k0 ^ 0x736f6d6570736575n
  let v1 = k1 ^ 0x646f72616e646f6dn
  let v2 = k0 ^ 0x6c7967656e657261n
  let v3 = k1 ^ 0x7465646279746573n
  const rounds = times => {
    for (; times > 0; times--) {
      v0 = (v0 + v1) & MASK; v1 = rotated(v1, 13n) ^ v0; v0 = rotated(v0, 32n)
      v2 = (v2 + v3) & MASK; v3 = rotated(v3, 16n) ^ v2
      v0 = (v0 + v3) & MASK; v3 = rotated(v3, 21n) ^ v0
      v2 = (v2 + v1) & MASK; v1 = rotated(v1, 17n) ^ v2; v2 = rotated(v2, 32n)
    }
  }
  for (const word of [item, 8n << 56n]) { v3 ^= word; rounds(2); v0 ^= word }
  v2 ^= 0xffn
  rounds(4)
  return v0 ^ v1 ^ v2 ^ v3
}

function root (value) {
  let guess = BigInt(Math.floor(Math.sqrt(Number(value))))
  while (guess * guess > value) guess--
  while ((guess + 1n) * (guess + 1n) <= value) guess++
  return guess
}

// The indices of the symbols, below `count`, that an item with this check takes part in.
function * indices (check, count) {
  let index = 0n
  let state = check
  while (index < count) {
    yield Number(index)
    state = (state * 6364136223846793005n + 1442695040888963407n) & MASK
    const passed = ((index + 1n) * (index + 2n) << 24n) / ((state >> 40n) + 1n)
    const s = root(passed)
    index = s * (s + 1n) <= passed ? s : s - 1n
  }
}

function put (symbols, item, check, count) {
  for (const index of indices(check, BigInt(symbols.length))) {
    const symbol = symbols[index]
    symbol.item ^= item
    symbol.check ^= check
    symbol.count = (symbol.count + count) & 255
  }
}

function encoded (key, items, count) {
  const symbols = Array.from({ length: count }, () => ({ item: 0n, check: 0n, count: 0 }))
  for (const item of items) put(symbols, item, siphash(key, item), 1)
  return symbols
}

const wire = symbols =>
  Buffer.concat(symbols.map(s => Buffer.concat([little(s.item), little(s.check), Buffer.from([s.count])])))

function parsed (data) {
  const symbols = []
  for (let at = 0; at < data.length; at += SYMBOL_BYTES) {
    const part = data.subarray(at, at + SYMBOL_BYTES)
    symbols.push({ item: number(part.subarray(0, 8)), check: number(part.subarray(8, 16)), count: part[16] })
  }
  return symbols
}

// What is held there alone and here alone; null if the symbols do not suffice.
function difference (key, items, data) {
  const rest = parsed(data)
  for (const item of items) put(rest, item, siphash(key, item), 255)
  const there = new Set()
  const here = new Set()
  for (let found = true; found;) {
    found = false
    for (const { item, check, count } of rest) {
      if ((count !== 1 && count !== 255) || siphash(key, item) !== check) continue
      const side = count === 1 ? there : here
      if (side.has(item)) continue
      side.add(item)
      put(rest, item, check, 256 - count)
      found = true
    }
  }
  return rest.every(s => s.item === 0n && s.check === 0n && s.count === 0) ? { there, here } : null
}

const rowBytes = row => Buffer.concat([
  Buffer.from([row.scope.length / 2]), bytes(row.scope), bytes(row.author),
  big(row.period), big(row.count), bytes(row.digest)])
const modulus = 1n << 2048n
const sum = terms => {
  const total = terms.reduce((before, term) =>
    (before + BigInt('0x' + createHash('shake256', { outputLength: 256 }).update(term).digest('hex'))) % modulus, 0n)
  return Buffer.from(total.toString(16).padStart(512, '0'), 'hex')
}

export function checkReconciliation (vectors, check) {
  for (const { session, number: n, key } of vectors.keys) {
    const made = blake2b(big(n), { key: bytes(session), dkLen: 16, personalization: 'pkn compare key1' })
    check(hex(made) === key, `the key of comparison ${n}`)
  }
  for (const vector of vectors.items) {
    const value = siphash(bytes(vector.key), number(bytes(vector.item)))
    check(hex(little(value)) === vector.check, `another check of ${vector.item}`)
    const found = [...indices(value, MOST_SYMBOLS)]
    check(JSON.stringify(found) === JSON.stringify(vector.indices), `other indices of ${vector.item}`)
  }
  for (const vector of vectors.symbols) {
    const items = vector.items.map(item => number(bytes(item)))
    const made = wire(encoded(bytes(vector.key), items, vector.count))
    check(hex(made) === vector.symbols, `other symbols of ${items.length} items`)
  }
  for (const vector of vectors.differences) {
    const items = vector.items.map(item => number(bytes(item)))
    const found = difference(bytes(vector.key), items, bytes(vector.symbols))
    check(found !== null, 'the symbols of a difference do not suffice')
    check(sorted([...found.there].map(little).map(hex)) === sorted(vector.there_alone), 'what is there alone')
    check(sorted([...found.here].map(little).map(hex)) === sorted(vector.here_alone), 'what is here alone')
  }
  checkComparison(vectors.comparison, check)
}

function checkComparison (vector, check) {
  const key = blake2b(big(vector.number),
    { key: bytes(vector.session), dkLen: 16, personalization: 'pkn compare key1' })
  const itemOf = row => blake2b(rowBytes(row), { key, dkLen: 8, personalization: 'pkn compare row1' })
  for (const side of vector.sides) {
    for (const row of side.rows) {
      check(row.count === row.ids.length && hex(createHash('sha256').update(sum(row.ids.map(bytes))).digest()) ===
        row.digest, 'the sum of a row')
      check(row.ids.every((id, at) => id.slice(8, 24) === row.shorts[at]), 'a short id')
      const digests = Buffer.concat(row.ids.map(id => id.slice(8)).sort().map(bytes))
      check(createHash('sha256').update(digests).digest('hex').slice(0, 32) === row.print, 'a print')
    }
    check(JSON.stringify(side.rows.map(itemOf).map(hex)) === JSON.stringify(side.items), 'items of rows')
    const whole = Buffer.concat([big(side.rows.length), sum(side.rows.map(rowBytes))])
    check(hex(blake2b(whole, { key, dkLen: 16, personalization: 'pkn compare root' })) === side.root, 'a root')
  }
  const [mine, yours] = vector.sides
  const [compare, rows, groups, lacks] = vector.frames.map(frame => dagCbor.decode(bytes(frame.frame)))
  check(vector.frames.length === 4, 'a comparison of four frames')
  check(compare.t === 'c' && hex(compare.o) === mine.root && mine.root !== yours.root, 'compare')

  // What the initiator does with the responder's rows.
  check(rows.t === 'rows' && rows.form === CODE && rows.total === yours.rows.length, 'rows')
  const numbers = side => side.items.map(bytes).map(number)
  check(hex(rows.data) === hex(wire(encoded(key, numbers(yours), rows.data.length / SYMBOL_BYTES))), 'row symbols')
  const differing = difference(key, numbers(mine), rows.data)
  check(differing !== null, 'the differing rows')
  const names = [...differing.there].map(item => hex(little(item).subarray(0, 4)))
  check(sorted(names) === sorted(hex(groups.rows).match(/.{8}/g)), 'names of the other side\'s rows')
  const own = mine.rows.filter((_, at) => differing.here.has(numbers(mine)[at]))
  const listed = groups.groups.flatMap(group => group[2].map(period => [hex(group[0]), hex(group[1]), period]))
  check(sorted(own.map(r => [r.scope, r.author, r.period].join())) === sorted(listed.map(r => r.join())), 'own rows')

  // What the responder does with the initiator's groups.
  const lackedHere = []
  const lackedThere = []
  groups.groups.forEach(([scope, author, periods, total, form, data], place) => {
    const shortsOf = side => side.rows.filter(row =>
      row.scope === hex(scope) && row.author === hex(author) && periods.includes(row.period)).flatMap(r => r.shorts)
    const theirs = shortsOf(mine).map(bytes).map(number)
    const ours = shortsOf(yours).map(bytes).map(number)
    check(total === theirs.length, 'the count of a group')
    let found
    if (form === CODE) {
      check(hex(data) === hex(wire(encoded(key, theirs, data.length / SYMBOL_BYTES))), 'symbols of ids')
      found = difference(key, ours, data)
    } else {
      check(form === SHORT && sorted(hex(data).match(/.{16}/g)) === sorted(shortsOf(mine)), 'a list of ids')
      found = { there: new Set(theirs.filter(x => !ours.includes(x))), here: new Set(ours.filter(x => !theirs.includes(x))) }
    }
    check(found !== null, 'the differing ids')
    lackedHere.push(...[...found.there].map(little).map(hex))
    const due = [...found.here].map(little).map(hex)
    lackedThere.push(...due)
    const told = (lacks.groups ?? []).filter(part => part[0] === place).flatMap(part => hex(part[2]).match(/.{16}/g))
    check(sorted(told) === sorted(due), 'what the initiator lacks of a group')
  })
  const unknown = yours.rows.filter((row, at) => names.includes(yours.items[at].slice(0, 8)) &&
    !listed.some(r => r.join() === [row.scope, row.author, row.period].join()))
  check(unknown.length === 1 && lacks.rows.length === 1, 'a row that the initiator does not know')
  lackedThere.push(...unknown.flatMap(row => row.shorts))
  check(hex(lacks.rows[0][4]) === unknown[0].shorts.join(''), 'the ids of that row')
  check(sorted(lackedHere) === sorted(yours.lacking) && sorted(lackedThere) === sorted(mine.lacking), 'what is lacking')
}
