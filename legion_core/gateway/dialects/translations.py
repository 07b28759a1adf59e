"""What becomes of every field of a request: the published table.

`translated`: it means the same at every provider, or comes as near as `note` says. `refused`: without it the answer would
be another one, so the request fails and says so. `dropped`: the answer does not depend on it, or it has no meaning outside
one provider. A field that is not in the table is dropped unread.
"""

from typing import Literal

import msgspec

Fate = Literal["translated", "refused", "dropped"]


class Translation(msgspec.Struct, frozen=True):
    """One field's fate and the reason for it."""

    field: str
    fate: Fate
    note: str


def _t(field: str, note: str = "as it is") -> Translation:
    return Translation(field, "translated", note)


def _r(field: str, note: str) -> Translation:
    return Translation(field, "refused", note)


def _d(field: str, note: str) -> Translation:
    return Translation(field, "dropped", note)


_ONE_PROVIDER = "means something at one provider only"
_BOOKKEEPING = "bookkeeping of one provider; the ledger here keeps its own"
_FILES = "a PDF needs a model that takes documents; a text becomes text, under its name"
_SAMPLING = "where a provider's range is narrower, at its bound"

# What agents leave in their histories when they cut, summarise or resume them. At the provider's own door it is refused
# each time it is sent, and the session is over.
_MENDED: tuple[Translation, ...] = (
    _t("a call without its result", "its result is that none is known"),
    _t("a second result of a call, an id given twice", "the result as words; the id with a number"),
    _t("a result without its call that something was said after", "the result as words"),
)
_STRAY = _r(
    "a result without its call at the end",
    "nobody called what the model is asked about; taken where `x-legion-conversation` names what was said before",
)

OPENAI_CHAT: tuple[Translation, ...] = (
    _t(
        "messages",
        "roles system, developer, user, assistant, tool; system messages in the middle count for the whole",
    ),
    _t("messages[].content", "text and pictures; a picture by URL is passed on, never fetched here"),
    _t(
        "messages[].tool_calls",
        "ids and arguments stay word for word; at Ollama arguments have to be an object",
    ),
    _t("messages[].content: file", _FILES),
    _r("messages[].content: input_audio, files by file_id", "no other provider takes it in this form"),
    _r("messages: role function", "obsolete since tools exist"),
    _d("messages[].name", "no other provider has it"),
    _t("model", "`auto` and `legion` let the router choose, any other name pins the model"),
    _t("stream"),
    _t("stream_options.include_usage"),
    _t("max_tokens", "max_completion_tokens wins where both are given"),
    _t("max_completion_tokens"),
    _t("temperature", _SAMPLING + "; dropped at Anthropic while it thinks"),
    _t("top_p"),
    _t(
        "top_k",
        "an extension of compatible servers; dropped at OpenAI itself, and at Anthropic while it thinks",
    ),
    _t("seed", "dropped at Anthropic, which has none"),
    _t("stop", "up to 16; sequences of white space only are dropped at Anthropic, which refuses them"),
    _t("frequency_penalty", "dropped at Anthropic, which has none"),
    _t("presence_penalty", "dropped at Anthropic, which has none"),
    _t(
        "tools: function",
        "names a provider cannot take are replaced on the way there and restored on the way back",
    ),
    _d("tools: other types", "they run at one provider only; the model is not told of them"),
    _t(
        "tool_choice",
        "auto, none, required, one function; required and one function need a provider that can",
    ),
    _r("tool_choice: allowed_tools, custom", "give only the tools that may be called"),
    _t(
        "response_format",
        "at Anthropic json_object becomes a sentence of instruction; json_schema stays a schema",
    ),
    _t("reasoning_effort", "low 1,024, medium 8,192, high 16,384 tokens of thinking; none asks for nothing"),
    _r("n > 1", "one answer is given for a request"),
    _r("logprobs, top_logprobs", "not the same from every provider"),
    _r("modalities: audio", "answers are text"),
    _r("functions, function_call", "obsolete since tools exist"),
    _d("parallel_tool_calls", "a client has to be ready for any number of calls"),
    _d("logit_bias", "token numbers mean something to one model only"),
    _d("prediction", "a hint for speed"),
    _d("audio", "answers are text"),
    _d("web_search_options", "runs at one provider only"),
    _d("metadata, store, user, safety_identifier", _BOOKKEEPING),
    _d(
        "service_tier, prompt_cache_key, prompt_cache_options, prompt_cache_retention, verbosity, moderation",
        _ONE_PROVIDER,
    ),
    *_MENDED,
    _STRAY,
)

ANTHROPIC_MESSAGES: tuple[Translation, ...] = (
    _t("messages", "roles user, assistant and system; system messages in the middle count for the whole"),
    _t("messages[].content: text, image", "a picture by URL is passed on, never fetched here"),
    _t(
        "messages[].content: tool_use, tool_result",
        "pictures and PDFs inside a result are shown as the user's, behind it; where no model reads PDFs it is told so",
    ),
    _t(
        "messages[].content: document of plain text or of text parts, search_result",
        "as text, under its title and context; there are no citations of it",
    ),
    _t(
        "content of a tool_result: document, search_result, tool_reference",
        "in words: a text as it is, a tool as its name; of files that are no PDF the model is told that they cannot be shown",
    ),
    _t(
        "messages[].content: document of a PDF",
        "needs a model that takes documents; one by URL is passed on, never fetched here; its context as words before it",
    ),
    _r(
        "messages[].content: document by file_id or of other sorts, container_upload",
        "files of one provider are not seen by others",
    ),
    _d(
        "messages[].content: server_tool_use, mcp_tool_use and their results, fallback",
        "the traces of tools that run at one provider only",
    ),
    _t("messages[].content: compaction", "its summary as the model's words"),
    _t(
        "messages[].content: thinking, redacted_thinking",
        "given back to the instance it came from, to no other",
    ),
    _t(
        "a last message of role assistant",
        "is continued; white space at its end is cut off at Anthropic, which refuses it",
    ),
    _d("messages[].content[].citations", "no other provider has it"),
    _d(
        "cache_control", "the Anthropic wire marks the end of every conversation of more than one turn itself"
    ),
    _t("model", "`auto` and `legion` let the router choose, any other name pins the model"),
    _t("system", "text blocks stay apart where the provider can, else they are joined"),
    _t("max_tokens", "at least 1: an answer of no tokens is no answer"),
    _t("stream"),
    _t("temperature"),
    _t("top_p"),
    _t("top_k", "dropped at OpenAI itself, which has none"),
    _t("stop_sequences", "up to 16"),
    _t(
        "tools: custom",
        "names a provider cannot take are replaced on the way there and restored on the way back",
    ),
    _d("tools: other types", "they run at one provider only; the model is not told of them"),
    _d(
        "tools[].defer_loading, allowed_callers, input_examples, strict",
        "the model is told of every tool at once",
    ),
    _t("tool_choice", "auto, any, none, one tool; any and one tool need a provider that can"),
    _d("tool_choice.disable_parallel_tool_use", "a client has to be ready for any number of calls"),
    _t("thinking: enabled", "budget_tokens; at other providers the nearest effort"),
    _d("thinking: adaptive, between_tools, disabled", "the model's own way is left to it"),
    _t("output_config.format", "a JSON schema, also under its older name output_format"),
    _d("output_config.effort", _ONE_PROVIDER),
    _t(
        "thread: create, continue",
        "nothing is kept for it: a continuation is told so in the words at which the library sends all of it again",
    ),
    _r("mcp_servers", "a request cannot name servers to connect to"),
    _t("metadata", "its `user_id` names the session, where Claude Code put one there; else nothing"),
    _d("service_tier, speed, container, context_management, diagnostics, inference_geo", _ONE_PROVIDER),
    *_MENDED,
    _STRAY,
)

OPENAI_RESPONSES: tuple[Translation, ...] = (
    _t("input", "a string, or items"),
    _t(
        "input[]: message",
        "roles user, assistant, system, developer; system messages in the middle count for the whole",
    ),
    _t("input[]: content", "text and pictures; a picture by URL is passed on, never fetched here"),
    _t("input[]: input_file", _FILES + "; one by file_url is passed on"),
    _t(
        "input[]: function_call, function_call_output",
        "pictures and PDFs in a result are shown as the user's, behind it; where no model reads PDFs it is told so",
    ),
    _t("input[]: custom_tool_call, custom_tool_call_output", "as a function with the one argument `input`"),
    _t(
        "input[]: reasoning",
        "given back to the instance it came from, if it has its encrypted_content; else dropped",
    ),
    _r(
        "input[]: input_audio, pictures and files by file_id, files of other sorts",
        "no other provider takes it in this form",
    ),
    _t("a file of another sort in the output of a call", "the model is told that it cannot be shown"),
    _r("input[]: item_reference", "items are not kept under their ids"),
    _d("input[]: items of other types", "the traces of tools that run at one provider only"),
    _t("model", "`auto` and `legion` let the router choose, any other name pins the model"),
    _t(
        "instructions",
        "first of what rules the conversation; not kept for a response that continues this one",
    ),
    _t(
        "stream",
        "ends with response.completed, whose response says if it is incomplete, or with response.failed",
    ),
    _t(
        "store", "false: the response cannot be continued; else the latest 256 can, until the workbench stops"
    ),
    _t(
        "previous_response_id",
        "the conversation of a response of the same caller; refused if it is not kept any more",
    ),
    _t("conversation", "the conversation of that name, as by x-legion-conversation"),
    _t("max_output_tokens"),
    _t("temperature", _SAMPLING + "; dropped at Anthropic while it thinks"),
    _t("top_p"),
    _t(
        "tools: function",
        "names a provider cannot take are replaced on the way there and restored on the way back",
    ),
    _t(
        "tools: custom",
        "as a function with the one argument `input`; a grammar is told to the model, not enforced",
    ),
    _t("tools: namespace", "its functions and custom tools, under the namespace and two underscores"),
    _d("tools: other types", "they run at one provider only; the model is not told of them"),
    _t(
        "tool_choice",
        "auto, none, required, one function or custom tool; of allowed_tools only those are offered",
    ),
    _r("tool_choice: other types", "they run at one provider only"),
    _t(
        "text.format",
        "at Anthropic json_object becomes a sentence of instruction; json_schema stays a schema",
    ),
    _t("reasoning.effort", "low 1,024, medium 8,192, high 16,384 tokens of thinking; none asks for nothing"),
    _t("include: reasoning.encrypted_content", "the signature of reasoning, which names its instance"),
    _r("include: message.output_text.logprobs", "not the same from every provider"),
    _d("include: others", "the traces of tools that run at one provider only"),
    _r("background", "an answer is given at once"),
    _r("prompt", "templates are kept at one provider only"),
    _r("top_logprobs", "not the same from every provider"),
    _d("parallel_tool_calls, max_tool_calls", "a client has to be ready for any number of calls"),
    _d("reasoning.summary, text.verbosity", _ONE_PROVIDER),
    _d("metadata, user, safety_identifier, client_metadata", _BOOKKEEPING),
    _d("truncation, context_management", "what is too long is an error, never cut silently"),
    _d("stream_options, service_tier, prompt_cache_key, prompt_cache_retention", _ONE_PROVIDER),
    *_MENDED,
    _STRAY,
)

OLLAMA: tuple[Translation, ...] = (
    _t("messages", "roles system, user, assistant, tool; system messages in the middle count for the whole"),
    _t("messages[].images, images", "base64 of PNG, JPEG, GIF or WebP, known by how they begin"),
    _t(
        "messages[].tool_calls",
        "a result answers the call whose id it has, else the first open one of its tool, else the first open one",
    ),
    _d("messages[].thinking", "without a signature it means nothing to a provider"),
    _t(
        "no messages, or an empty prompt", "answered at once as loaded: models are loaded when they are asked"
    ),
    _t("prompt", "the one message of the user"),
    _t("system"),
    _t(
        "model",
        "`auto` and `legion`, also with `:latest`, let the router choose, any other name pins the model",
    ),
    _t("stream", "true unless it says false"),
    _t(
        "tools: function",
        "names a provider cannot take are replaced on the way there and restored on the way back",
    ),
    _d("tools: other types", "they run at one provider only; the model is not told of them"),
    _t("format", "at Anthropic json becomes a sentence of instruction; a schema stays a schema"),
    _t(
        "think",
        "true 8,192 tokens of thinking; low 1,024, medium 8,192, high 16,384, max 32,768; false asks for none",
    ),
    _t("options.num_predict", "the bound of the answer; zero and below stand for none"),
    _t("options.temperature", _SAMPLING + "; dropped at Anthropic while it thinks"),
    _t("options.top_p"),
    _t("options.top_k", "dropped at OpenAI itself, and at Anthropic while it thinks"),
    _t("options.seed", "dropped at Anthropic, which has none"),
    _t("options.stop", "up to 16"),
    _t("options.frequency_penalty, options.presence_penalty", "dropped at Anthropic, which has none"),
    _d(
        "options: others",
        "about how one server runs a model: num_ctx, num_gpu, min_p, repeat_penalty, mirostat, …",
    ),
    _t(
        "raw",
        "the prompt goes on as it is, at models that go on with text; a model that only talks is refused",
    ),
    _t("suffix", "a gap is filled by a model that can (`fim`), in its own form"),
    _r("system, images, format, think with raw or suffix", "they mean nothing where a text is gone on with"),
    _r("template", "a model's own template is used"),
    _r("logprobs, top_logprobs", "not the same from every provider"),
    _d("context", "token numbers mean something to one model only; send messages instead"),
    _d("keep_alive", "how long a model stays loaded is a setting of the workbench"),
    _d("truncate, shift", "what is too long is an error, never cut silently"),
    *_MENDED,
    _t("a result without its call at the end", "the result as words: that server takes it"),
)

GEMINI: tuple[Translation, ...] = (
    _t("names", "in both styles, such as systemInstruction and system_instruction"),
    _t(
        "the address",
        "the model; `auto` and `legion` let the router choose; alt=sse for events, else one JSON array",
    ),
    _t("contents", "roles user, model, function; turns of the model in a row are one"),
    _t("contents[].parts: text"),
    _t("contents[].parts: inlineData", "pictures, PDFs where the model takes documents, and text as text"),
    _r("contents[].parts: inlineData of other types", "no other provider takes it in this form"),
    _t(
        "contents[].parts: fileData",
        "pictures and PDFs by URL are passed on, never fetched here; other types are refused",
    ),
    _t(
        "contents[].parts: functionCall, functionResponse",
        "a response answers the call whose id it has, else the first open one of its name, else the first open one",
    ),
    _t(
        "contents[].parts: thought",
        "given back to the instance it came from, if it has its thoughtSignature; else dropped",
    ),
    _d(
        "contents[].parts: executableCode, codeExecutionResult",
        "the traces of tools that run at one provider only",
    ),
    _d("contents[].parts: videoMetadata, mediaResolution", _ONE_PROVIDER),
    _t("systemInstruction", "its text"),
    _t(
        "tools: functionDeclarations",
        "parameters as JSON Schema; names a provider cannot take are replaced on the way there and restored on the way back",
    ),
    _d("tools: others", "they run at one provider only; the model is not told of them"),
    _t(
        "toolConfig.functionCallingConfig",
        "AUTO, NONE, ANY; VALIDATED as AUTO; of allowedFunctionNames only those are offered",
    ),
    _t("generationConfig.maxOutputTokens"),
    _t("generationConfig.temperature", _SAMPLING + "; dropped at Anthropic while it thinks"),
    _t("generationConfig.topP"),
    _t("generationConfig.topK", "whole numbers; dropped at OpenAI itself, and at Anthropic while it thinks"),
    _t("generationConfig.seed", "dropped at Anthropic, which has none"),
    _t("generationConfig.stopSequences", "up to 16"),
    _t("generationConfig.presencePenalty, frequencyPenalty", "dropped at Anthropic, which has none"),
    _t(
        "generationConfig.responseMimeType, responseSchema, responseJsonSchema",
        "at Anthropic application/json alone becomes a sentence of instruction; a schema stays a schema, as JSON Schema",
    ),
    _r(
        "generationConfig.responseMimeType: others", "a bare word is no JSON, and not what every provider can"
    ),
    _t(
        "generationConfig.thinkingConfig",
        "thinkingBudget in tokens, or by thinkingLevel; thoughts are shown only with includeThoughts",
    ),
    _r("generationConfig.candidateCount > 1", "one answer is given for a request"),
    _r("generationConfig.responseLogprobs, logprobs", "not the same from every provider"),
    _r("generationConfig.responseModalities: others than TEXT", "answers are text"),
    _r("cachedContent", "contents kept at one provider are not seen by others"),
    _d("safetySettings", "each provider has its own; what it filters is told as SAFETY"),
    _d("generationConfig: others", _ONE_PROVIDER),
    _d("labels", _BOOKKEEPING),
    *_MENDED,
    _STRAY,
)

OPENAI_COMPLETIONS: tuple[Translation, ...] = (
    _t(
        "prompt",
        "a string, or a list of one: text to be gone on with, as it is and through no template, so that the marks of a model "
        "in it count; a model that only talks is refused, for its answer would be no continuation",
    ),
    _r(
        "prompt: several texts, token numbers",
        "one text is gone on with; numbers mean something to one model only",
    ),
    _t(
        "suffix",
        "what stands behind the gap; needs a model that fills gaps by its own form (`fim`): at Ollama it tells, elsewhere say it",
    ),
    _t("model", "`auto` and `legion` let the router choose, any other name pins the model"),
    _t("stream"),
    _t("stream_options.include_usage"),
    _t("max_tokens", "16 where none is given, as the protocol has it"),
    _t("temperature"),
    _t("top_p"),
    _t("top_k", "an extension of compatible servers; dropped at OpenAI itself"),
    _t("seed"),
    _t("stop", "up to 16"),
    _t("frequency_penalty, presence_penalty"),
    _r("n > 1, best_of > 1", "one answer is given for a request"),
    _r("echo", "the prompt is the client's own; put it before the answer"),
    _r("logprobs", "not the same from every provider"),
    _r("x-legion-conversation", "a text to be gone on with is no part of a conversation"),
    _d("logit_bias", "token numbers mean something to one model only"),
    _d("user", _BOOKKEEPING),
)

# One table for all of them: they ask for the same thing.
EMBEDDINGS: tuple[Translation, ...] = (
    _t("input, content", "texts; each is a vector, in order"),
    _r("input: token numbers", "they mean something to one model only"),
    _r("content: parts that are no text", "pictures have no vector here"),
    _t(
        "model",
        "`auto` and `legion` let the router choose; vectors are never made by another model than the first",
    ),
    _t(
        "dimensions, outputDimensionality",
        "asked of the model at OpenAI and what is like it, Gemini, Vertex and Ollama; where its vectors are of another "
        "length the request is refused: they are not cut here",
    ),
    _t("encoding_format", "float or base64"),
    _d("taskType, title", "makes no difference to the models here"),
    _d("truncate, autoTruncate", "what is too long is an error, never cut silently"),
    _d("user, keep_alive, options", _ONE_PROVIDER),
)
