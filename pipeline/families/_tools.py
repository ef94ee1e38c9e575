"""What the families' templates share where a conversation has tools: calls and results in Hermes' tags."""

# The wording that Qwen3 and SmolLM3 were tuned on.
ASKED = (
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\\n<tool_call>\\n{\\"name\\": <function-name>, \\"arguments\\": <args-json-object>}\\n</tool_call>'
)

# `said` is what a turn says: its words, then its calls. `result` is a tool's answer.
MACROS = r"""
{%- macro said(message) -%}
  {%- set words = message.content or '' -%}
  {{- words.lstrip('\n') if message.role == 'assistant' else words -}}
  {%- for call in message.tool_calls or [] -%}
    {%- set call = call.function or call -%}
    {{- '\n' if words or not loop.first -}}
    {{- '<tool_call>\n{"name": ' + call.name | tojson + ', "arguments": ' -}}
    {{- call.arguments if call.arguments is string else call.arguments | tojson -}}
    {{- '}\n</tool_call>' -}}
  {%- endfor -%}
{%- endmacro -%}
{%- macro result(message) -%}
  {{- '<tool_response>\n' + (message.content or '') + '\n</tool_response>' -}}
{%- endmacro -%}
""".strip()
