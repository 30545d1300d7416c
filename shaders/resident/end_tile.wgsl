            // Results change hands, so that what follows is written once and not for every register.
{% for i in range(tile.thread_rows) %}
{% for q in range(tile.thread_columns_4) %}
            arena[(t / {{ tile.lanes }}u * {{ tile.thread_rows }}u + {{ i }}u) * {{ tile.columns_4 }}u + lane + {{ q * tile.lanes }}u] = acc_{{ i }}_{{ q }};
{% endfor %}
{% endfor %}
            workgroupBarrier();
            for (var i = t; i < {{ rows * tile.columns_4 }}u; i += THREADS) {
                let r = i / {{ tile.columns_4 }}u;
                let at_row = {{ at_row }};
                let at_column = column + i % {{ tile.columns_4 }}u;
                if ({{ inside }} && at_column < {{ columns }}) {
                    {{ finish }}
                }
            }
            workgroupBarrier();
