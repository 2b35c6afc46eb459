"""A partner's system, whole: it reports a tilted cover, and works off what its unit is given. Ends when all is done."""

import asyncio, json, os, random, uuid
from datetime import datetime, timezone

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:19092")
PREFIX, ME = os.environ.get("CASEGRID_TOPIC_PREFIX", ""), "drainage"
USER = f"{PREFIX}partner.{ME}"  # its password is what `make partner` printed; beyond one machine say SASL_SSL
LOGIN = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": USER,
         "sasl_plain_password": os.environ["PARTNER_PASSWORD"]}


def id_of(number):  # `number` is your own: said again with the same time and data it is the same event, byte for byte
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{ME}/{number}"))


def request(case, number, at, cause=None, **data):
    event = {
        "specversion": "1.0", "type": "casegrid.Request.v1", "source": f"/partners/{ME}", "id": id_of(number),
        "actor": "dispatcher-7", "subject": case, "partitionkey": case, "correlationid": case, "time": at,
        "recordedtime": at, "data": data, **({"causationid": cause} if cause else {}),
    }
    value, headers = json.dumps(event, separators=(",", ":")).encode(), [("content-type", b"application/cloudevents+json")]
    return dict(topic=f"{PREFIX}from.{ME}", key=case.encode(), value=value, headers=headers)


async def main():
    mine = str(uuid.uuid4())  # you choose the id of the case
    place = {"point": {"lat": 30.658 + random.random() / 1000, "lon": 104.103 + random.random() / 1000}}
    report = {"kind": "report", "channel": "sensor", "title": "Cover 17 tilted", "place": place,
              "category": "component.public-facilities.manhole-sensor", "external_ref": "alarm-17"}
    producer = AIOKafkaProducer(bootstrap_servers=SERVERS, **LOGIN, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(f"{PREFIX}to.{ME}", bootstrap_servers=SERVERS, **LOGIN, group_id=USER,
                                auto_offset_reset="earliest", enable_auto_commit=False)
    async with producer, consumer:
        now = datetime.now(timezone.utc).isoformat()
        await producer.send_and_wait(**request(mine, f"report {mine}", now, **report))
        ends, resolved, closed = set(), False, False
        async for record in consumer:
            notice = json.loads(record.value)
            case, told, at = notice["subject"], notice["data"], notice["recordedtime"]
            print(case, told["kind"], told.get("rule", ""), told.get("reason", ""), flush=True)
            if told["kind"] == "assigned":
                steps = ({"kind": "acknowledge"}, {"kind": "on_scene"}, {"kind": "resolve", "handled_by": ["crew-3"]})
                ends |= {id_of(f"resolve {notice['id']}")} if case == mine else set()
                for step in steps:  # yours happen later: keep the bytes before you send them, and send those again
                    step["assignment_id"] = told["assignment_id"]
                    number = f"{step['kind']} {notice['id']}"
                    await producer.send_and_wait(**request(case, number, at, notice["id"], **step))
            resolved |= told["kind"] == "accepted" and told["request"] in ends
            closed |= case == mine and told["kind"] == "closed" and told["outcome"] == "fixed"
            await consumer.commit()
            if resolved and closed:
                return print(f"{mine} is closed as fixed")


asyncio.run(main())
