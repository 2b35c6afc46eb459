// A partner's system, whole: it reports a tilted cover, and works off what its unit is given. Ends when all is done.
import { createHash, randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'

const servers = (process.env.KAFKA_BOOTSTRAP_SERVERS ?? '127.0.0.1:19092').split(',')
const prefix = process.env.CASEGRID_TOPIC_PREFIX ?? ''
const me = 'drainage'
const username = `${prefix}partner.${me}` // its password is what `make partner` printed; beyond one machine set ssl, too
const sasl = { mechanism: 'scram-sha-256', username, password: process.env.PARTNER_PASSWORD }

// `number` is your own: said again with the same time and data it is the same event, byte for byte (UUID v5, by URL).
function idOf (number) {
  const bytes = createHash('sha1').update(Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex')).update(`${me}/${number}`).digest()
  bytes[6] = (bytes[6] & 0x0f) | 0x50
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function request (subject, number, at, data, causationid) {
  const event = {
    specversion: '1.0', type: 'casegrid.Request.v1', source: `/partners/${me}`, id: idOf(number), actor: 'dispatcher-7',
    subject, partitionkey: subject, correlationid: subject, time: at, recordedtime: at, data, causationid
  }
  const headers = { 'content-type': 'application/cloudevents+json' }
  return { topic: `${prefix}from.${me}`, messages: [{ key: subject, value: JSON.stringify(event), headers }] }
}

const kafka = new Kafka({ brokers: servers, clientId: me, sasl, logLevel: logLevel.ERROR })
const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
const consumer = kafka.consumer({ groupId: `${username}.js` })
const mine = randomUUID() // you choose the id of the case
const place = { point: { lat: 30.656 + Math.random() / 1000, lon: 104.103 + Math.random() / 1000 } }
const report = {
  kind: 'report', channel: 'sensor', title: 'Cover 18 tilted', place, external_ref: 'alarm-18',
  category: 'component.public-facilities.manhole-sensor'
}
await Promise.all([producer.connect(), consumer.connect()])
await consumer.subscribe({ topic: `${prefix}to.${me}`, fromBeginning: true })
await producer.send(request(mine, `report ${mine}`, new Date().toISOString(), report))
const ends = new Set()
const left = new Set(['resolved', 'closed'])
const done = new Promise(resolve => consumer.run({ // the position is committed after this has returned
  eachMessage: async ({ message }) => {
    const { id, subject, recordedtime: at, data: told } = JSON.parse(message.value)
    console.log(subject, told.kind, told.rule ?? '', told.reason ?? '')
    const of = { assignment_id: told.assignment_id }
    const steps = told.kind !== 'assigned' ? [] : [{ kind: 'acknowledge' }, { kind: 'on_scene' }, { kind: 'resolve', handled_by: ['crew-3'] }]
    // Yours happen later: keep the bytes before you send them, and send those again.
    for (const step of steps) await producer.send(request(subject, `${step.kind} ${id}`, at, { ...step, ...of }, id))
    if (steps.length && subject === mine) ends.add(idOf(`resolve ${id}`))
    if (told.kind === 'accepted' && ends.has(told.request)) left.delete('resolved')
    if (told.kind === 'closed' && subject === mine && told.outcome === 'fixed') left.delete('closed')
    if (!left.size) resolve()
  }
}))
await done
console.log(`${mine} is closed as fixed`)
await Promise.all([producer.disconnect(), consumer.disconnect()])
