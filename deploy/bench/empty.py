"""A FastAPI service that reads the body of a report and does nothing: what a request costs without any work.

`python -m deploy.bench.empty PORT` runs it with uvicorn, uvloop and httptools, as the services run.
"""

import sys

import uvicorn
import uvloop
from fastapi import FastAPI

from services.intake.bodies import ReportBody

app = FastAPI()


@app.post("/reports", status_code=201)
async def file_report(body: ReportBody) -> dict[str, str]:
    """Answers with the title's length, so that the body must have been read."""
    return {"case_id": str(len(body.title))}


if __name__ == "__main__":
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False, http="httptools"
        )
    )
    uvloop.run(server.serve())
