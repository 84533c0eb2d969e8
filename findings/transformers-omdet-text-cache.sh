#!/bin/sh
# transformers 5.24.0: OmDet-Turbo keeps the embeddings of texts that it has seen, with their graph and their dtype, so that
# it cannot be trained and does not notice new weights.
#
# A small OmDetTurboForObjectDetection with random weights, in train mode, is called with the same image and class names
# again and again. The second backward goes through the first call's graph. After the text encoder's weights are set to 0
# the output has the same bits as before, and after model.double() a call fails.
#
# Expected: two training steps; another output for other weights; an output in float64.
# Seen: step 1 is done; step 2: RuntimeError, "Trying to backward through the graph a second time"; weights 0: output
# unchanged; float64: RuntimeError, "mat1 and mat2 must have the same dtype".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6 transformers==5.24.0
HF_HUB_OFFLINE=1 "$folder/bin/python" -W ignore - <<'END'
import torch
import transformers

torch.manual_seed(0)
text = dict(model_type="clip_text_model", vocab_size=50, hidden_size=24, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=10, projection_dim=24, bos_token_id=1, eos_token_id=2)
backbone = transformers.SwinConfig(image_size=64, embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4,
                                   out_indices=[2, 3, 4])
config = transformers.OmDetTurboConfig(
    text_config=text, backbone_config=backbone, apply_layernorm_after_vision_backbone=False, image_size=64,
    text_projection_in_dim=24, text_projection_out_dim=24, class_embed_dim=24, num_queries=12, encoder_hidden_dim=32,
    vision_features_channels=[32] * 3, encoder_in_channels=[16, 32, 64], encoder_attention_heads=4,
    encoder_dim_feedforward=32, decoder_hidden_dim=32, decoder_num_heads=4, decoder_num_layers=2,
    decoder_dim_feedforward=32, task_encoder_hidden_dim=32)
model = transformers.OmDetTurboForObjectDetection(config).train()
names, mask = torch.tensor([[1, 7, 8, 2, 2]]), torch.ones(1, 5, dtype=torch.long)
image = torch.randn(1, 3, 64, 64)


def run():
    return model(pixel_values=image.to(model.dtype), classes_input_ids=names, classes_attention_mask=mask,
                 tasks_input_ids=names, tasks_attention_mask=mask, classes_structure=torch.tensor([1]))


def attempt(function):
    try:
        function()
        return "done"
    except RuntimeError as error:
        return str(error).split("(")[0].split(",")[0].strip()


print("torch", torch.__version__, "transformers", transformers.__version__)
found = {f"step {step}": attempt(lambda: run().decoder_class_logits.sum().backward()) for step in (1, 2)}
model.eval()
with torch.no_grad():
    before = run().decoder_class_logits
    for parameter in model.language_backbone.parameters():
        parameter.zero_()
    found["weights 0"] = "unchanged" if torch.equal(run().decoder_class_logits, before) else "changed"
    model.double()
    found["float64"] = attempt(run)
print(found)
expected = ["done", "Trying to backward through the graph a second time", "unchanged",
            "mat1 and mat2 must have the same dtype"]
if list(found.values()) != expected:
    raise SystemExit(f"changed: it was {expected}")
END
