namespace Actors.Snippets;

public interface IWishList : IGrainWithStringKey
{
    Task AddAsync(string sku);

    Task<IReadOnlyList<string>> ListAsync();
}

#region grain
// An ordinary Orleans grain on the same silo: its state goes to the default storage, which is the same Postgres.
public sealed class WishList([PersistentState("wishes")] IPersistentState<Wishes> wishes) : Grain, IWishList
{
    public async Task AddAsync(string sku)
    {
        wishes.State.Skus.Add(sku);
        await wishes.WriteStateAsync();
    }

    public Task<IReadOnlyList<string>> ListAsync() => Task.FromResult<IReadOnlyList<string>>([.. wishes.State.Skus]);
}

[GenerateSerializer, Alias("wishes")]
public sealed class Wishes
{
    [Id(0)]
    public List<string> Skus { get; init; } = [];
}
#endregion
