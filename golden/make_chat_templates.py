#!/usr/bin/env python3
"""Writes golden/chat_templates/cases.json: what transformers makes of conversations with the templates of that folder.

The templates were written for these tests: each has the form and the constructs of Jinja that a published template of its
model has. Needs transformers and jinja2. Run: python golden/make_chat_templates.py
"""
import copy
import datetime
import json
import pathlib

import transformers
from transformers.utils import chat_template_utils

FOLDER = pathlib.Path(__file__).parent / "chat_templates"
NOW = datetime.datetime(2024, 7, 3, 14, 5, 9)
chat_template_utils.datetime = type("Clock", (), {"now": staticmethod(lambda: NOW)})

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a <city> & its \"surroundings\".",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Its name, e.g. 'Zürich'"}, "days": {"type": "integer", "default": 1}},
        "required": ["city"]}}}]
CALL = {"id": "call12345", "type": "function",
        "function": {"name": "get_weather", "arguments": {"city": "Paris", "days": 2, "exact": True, "unit": None}}}


def said(*turns):
    return [{"role": role, "content": content} for role, content in turns]


CONVERSATIONS = {
    "question": said(("user", "Hello, how are you?")),
    "system": said(("system", "Be brief. "), ("user", " What is 2+2?\n")),
    "turns": said(("system", "You are a pirate."), ("user", "Hi 'there' \"you\" caf\u00e9 \U0001F600"),
                  ("assistant", "<think>\nhm\n</think>\n\nArr!"), ("user", "Bye {{ messages }}")),
    "ends with assistant": said(("user", "a"), ("assistant", "B"), ("user", "c"), ("assistant", " d ")),
    "two assistants": said(("assistant", "A"), ("assistant", "B")),
    "tool": said(("user", "Weather in Paris?"))
    + [{"role": "assistant", "content": "", "tool_calls": [CALL]},
       {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": "{\"celsius\": 22}"}]
    + said(("assistant", "It is 22 degrees."), ("user", "Thanks")),
    "parts": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " What is this? "}]}],
    "no content": [{"role": "user"}],
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

cases = []
for path in sorted(FOLDER.glob("*.jinja")):
    template = chat_template_utils._compile_jinja_template(path.read_text(encoding="utf-8"))
    for conversation, messages in CONVERSATIONS.items():
        for tools in (None, TOOLS) if conversation in ("question", "system", "tool") else (None,):
            for prompt in (False, True):
                for variables in ({}, {"enable_thinking": False}) if path.stem == "qwen3" and prompt else ({},):
                    case = {"template": path.stem, "conversation": conversation, "tools": tools is not None,
                            "add_generation_prompt": prompt, "variables": variables}
                    try:
                        case["text"] = template.render(messages=copy.deepcopy(messages), tools=tools, documents=None,
                                                       add_generation_prompt=prompt, **TOKENS, **variables)
                    except Exception as error:
                        case["refused"] = str(error)
                    cases.append(case)
FOLDER.joinpath("cases.json").write_text(json.dumps({
    "about": "text = what transformers renders; refused = its error where it refuses",
    "made_with": {"transformers": transformers.__version__, "now": NOW.isoformat()},
    "tokens": TOKENS, "tools": TOOLS, "conversations": CONVERSATIONS, "cases": cases}, indent=1, ensure_ascii=False) + "\n",
    encoding="utf-8")
print(len(cases), "cases,", sum("refused" in case for case in cases), "refused")
