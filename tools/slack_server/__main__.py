"""`python -m tools.slack_server`: a Slack server on this machine. It prints its addresses, then shows what arrives."""

import argparse
import asyncio

from tools.slack_server import SlackServer, render
from tools.slack_server.workspace import CHANNEL, TOKEN


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--channel", action="append", help=f"repeatable; {CHANNEL} if there is none")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--print", action="store_true", help="show each message when it arrives")
    given = parser.parse_args()
    channels = given.channel or [CHANNEL]
    show = (lambda message: print(render(message), flush=True)) if given.print else None
    async with SlackServer(
        channels=channels, tokens=[given.token], port=given.port, delay=given.delay, on_message=show
    ) as slack:
        print(f"CLIENTCERT_SLACK_API_URL={slack.api_url}")
        print(f"CLIENTCERT_ALLOWED_HOSTS={slack.host}")
        print(f"CLIENTCERT_SLACK_TOKEN={slack.token}")
        print(f"CLIENTCERT_SLACK_CHANNEL={channels[0]}")
        for channel in channels:
            print(f"webhook of {channel}: {slack.webhook_url(channel)}")
        print(f"what arrived: {slack.url}/", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        print()
